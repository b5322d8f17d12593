"""Meta-transactions and identities as their contracts define them; tests on the chain compare with those."""

from dataclasses import replace

import pytest
from eth_account import Account
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from relay.chain.identity import (
    EXECUTION_TOPIC,
    MetaTransaction,
    execution_status,
    plan_deployment,
    read_view,
    recover,
)
from relay.chain.sending import RawLog

OWNER = Account.from_key(bytes(range(1, 33)))
META = MetaTransaction(
    identity=bytes([1]) * 20,
    chain_id=1337,
    version=1,
    to=bytes([2]) * 20,
    value=3,
    data=b"call",
    base_fee=4,
    gas_price=5,
    gas_limit=6,
    fee_recipient=bytes([7]) * 20,
    currency_network_of_fees=bytes([8]) * 20,
    nonce=9,
    time_limit=10,
    operation_type=0,
)


def test_every_field_is_signed() -> None:
    changed = [
        replace(META, **{name: getattr(META, name) + 1})
        for name in (
            "chain_id",
            "version",
            "value",
            "base_fee",
            "gas_price",
            "gas_limit",
            "nonce",
            "time_limit",
            "operation_type",
        )
    ]
    changed += [
        replace(META, **{name: bytes([99]) * 20})
        for name in ("identity", "to", "fee_recipient", "currency_network_of_fees")
    ]
    changed.append(replace(META, data=b"other"))
    assert len({meta.hash for meta in [META, *changed]}) == 15
    assert replace(META, signature=b"x" * 65).hash == META.hash


@pytest.mark.parametrize(("nonce", "ordered"), [(0, False), (1, True), (2**255 - 1, True), (2**255, False)])
def test_nonces_are_ordered_in_the_lower_half(nonce: int, ordered: bool) -> None:
    assert replace(META, nonce=nonce).is_ordered is ordered


def test_who_signed_is_recovered_whichever_way_v_is_written() -> None:
    signature = bytes(OWNER.unsafe_sign_hash(META.hash).signature)
    low = signature[:64] + bytes([signature[64] - 27])
    assert recover(META.hash, signature) == recover(META.hash, low) == bytes.fromhex(OWNER.address[2:])


@given(st.binary(max_size=70), st.binary(min_size=32, max_size=32))
def test_no_bytes_bring_the_recovery_down(signature: bytes, message: bytes) -> None:
    recover(message, signature)
    recover(message, signature.ljust(65, b"\x1b")[:65])


def test_an_identity_is_deployed_where_wallets_compute_it() -> None:
    # The client's own computation, of version 0.15.2, for this factory and owner.
    factory, implementation = bytes([0xFA]) * 20, bytes([0x1D]) * 20
    digest = keccak(b"\x19\x00" + factory + implementation)
    plan = plan_deployment(factory, implementation, bytes(OWNER.unsafe_sign_hash(digest).signature))
    assert plan is not None
    assert plan.owner.hex() == OWNER.address[2:].lower()
    assert plan.identity.hex() == IDENTITY_BY_CLIENT
    assert plan_deployment(factory, implementation, b"\x01" * 64) is None


def test_the_status_is_that_of_the_identitys_own_log() -> None:
    own = RawLog(META.identity, (EXECUTION_TOPIC, META.hash), bytes(31) + b"\x01")
    assert execution_status((own,), META.identity, META.hash) is True
    assert execution_status((replace(own, data=bytes(32)),), META.identity, META.hash) is False
    foreign = (replace(own, address=META.to), replace(own, topics=(EXECUTION_TOPIC, bytes(32))))
    assert execution_status(foreign, META.identity, META.hash) is None


def test_a_view_of_a_contract_that_is_no_identity_says_nothing() -> None:
    for returned in (None, b"", b"\x01", b"\xff" * 32):
        assert read_view("implementation", returned) is None


IDENTITY_BY_CLIENT = "fdf8378946df0ef4198e052e57535880bdb094a2"
