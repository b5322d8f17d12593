"""The filter of a block header."""

from relay.chain.bloom import LogSieve, mask_of

ADDRESS, TOPIC, OTHER = b"\x01" * 20, b"\x02" * 32, b"\x03" * 20


def bloom_of(*items: bytes) -> bytes:
    bits = 0
    for item in items:
        bits |= mask_of(item)
    return bits.to_bytes(256, "big")


def test_a_log_needs_both_its_contract_and_its_topic_in_the_filter() -> None:
    sieve = LogSieve([ADDRESS], [TOPIC])
    assert sieve.may_hold(bloom_of(ADDRESS, TOPIC))
    assert sieve.may_hold(bloom_of(ADDRESS, TOPIC, OTHER))
    assert not sieve.may_hold(bloom_of(ADDRESS))
    assert not sieve.may_hold(bloom_of(OTHER, TOPIC))
    assert not sieve.may_hold(b"")
