"""What the client's type declarations (typings.d.ts of version 0.15.2) promise about everything a relay answers.

Written by hand from the interfaces whose names end in Raw, and compared with every answer and every notification
that arrives while the tests of the client run. Amounts are strings and everything the client calculates with is
present; null occurs nowhere but in the answer to a request for ether.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from tests.support.shapes import (
    Shape,
    address,
    amount,
    by_type,
    data,
    either,
    hash32,
    list_of,
    no_null,
    nothing,
    number,
    one_of,
    record,
    text,
    truth,
)

Shapes = dict[str, Shape]

STATUS = one_of("sent", "pending", "confirmed")
DIRECTION = one_of("sent", "received")
FEE_PAYER = one_of("sender", "receiver")

BLOCKCHAIN_EVENT: Shapes = {"type": text, "timestamp": number, "status": STATUS, "transactionHash": hash32}
# An event that the node holds unmined has no block yet.
IN_BLOCK: Shapes = {"blockNumber": number, "blockHash": hash32, "logIndex": number}
BETWEEN: Shapes = {"from": address, "to": address}
SEEN_BY: Shapes = {"user": address, "counterParty": address, "direction": DIRECTION}

TERMS: Shapes = {
    "given": amount,
    "received": amount,
    "interestRateGiven": amount,
    "interestRateReceived": amount,
    "isFrozen": truth,
}
ACCOUNT: Shapes = {
    "balance": amount,
    "given": amount,
    "received": amount,
    "leftGiven": amount,
    "leftReceived": amount,
}
TOKEN: Shapes = {"tokenAddress": address, "amount": amount}
EXCHANGED: Shapes = {
    "exchangeAddress": address,
    "makerTokenAddress": address,
    "takerTokenAddress": address,
    "orderHash": hash32,
}
FILLED: Shapes = {**EXCHANGED, "filledMakerAmount": amount, "filledTakerAmount": amount}
CANCELLED: Shapes = {**EXCHANGED, "cancelledMakerAmount": amount, "cancelledTakerAmount": amount}


def _in_network(more: Shapes) -> Shapes:
    return {"networkAddress": address, **more}


NETWORK_EVENTS: dict[str, Shapes] = {
    "Transfer": _in_network({"amount": amount, "extraData": data}),
    "TrustlineUpdate": _in_network(TERMS),
    "TrustlineUpdateRequest": _in_network({**TERMS, "transfer": amount}),
    "TrustlineUpdateCancel": _in_network({}),
    "BalanceUpdate": _in_network({"amount": amount}),
    "DebtUpdate": _in_network({"debt": amount}),
}
TOKEN_EVENTS: dict[str, Shapes] = dict.fromkeys(("Transfer", "Approval", "Deposit", "Withdrawal"), TOKEN)
EXCHANGE_EVENTS: dict[str, Shapes] = {"LogFill": FILLED, "LogCancel": CANCELLED}


def _events(kinds: dict[str, Shapes], seen_by: Shapes) -> Shape:
    base = {**BLOCKCHAIN_EVENT, **BETWEEN, **seen_by}
    mined = by_type({kind: record({**base, **IN_BLOCK, **more}) for kind, more in kinds.items()})
    waiting = by_type({kind: record({**base, **more}, IN_BLOCK) for kind, more in kinds.items()})

    def shape(value: Any, place: str) -> Iterator[str]:
        is_sent = isinstance(value, dict) and value.get("status") == "sent"
        yield from (waiting if is_sent else mined)(value, place)

    return shape


_NETWORK_EVENT_OF_USER = _events(NETWORK_EVENTS, SEEN_BY)
_TOKEN_EVENT_OF_USER = _events(TOKEN_EVENTS, SEEN_BY)
_EXCHANGE_EVENT_OF_USER = _events(EXCHANGE_EVENTS, {"direction": DIRECTION})


def any_event(value: Any, place: str) -> Iterator[str]:
    """An event of a user: the contract's kind of address says which."""
    if isinstance(value, dict) and "tokenAddress" in value:
        yield from _TOKEN_EVENT_OF_USER(value, place)
    elif isinstance(value, dict) and "exchangeAddress" in value:
        yield from _EXCHANGE_EVENT_OF_USER(value, place)
    else:
        yield from _NETWORK_EVENT_OF_USER(value, place)


NETWORK = record(
    {
        "name": text,
        "abbreviation": text,
        "address": address,
        "decimals": number,
        "numUsers": number,
        "defaultInterestRate": amount,
        "interestRateDecimals": number,
        "customInterests": truth,
        "preventMediatorInterests": truth,
        "isFrozen": truth,
    }
)
TRUSTLINE = record(
    {
        "id": hash32,
        "user": address,
        "counterParty": address,
        "currencyNetwork": address,
        "isFrozen": truth,
        "interestRateGiven": amount,
        "interestRateReceived": amount,
        **ACCOUNT,
    }
)
INTERESTS = record(
    {
        # The declaration says that rates are strings, the deployed relays answer numbers.
        "accruedInterests": list_of(record({"value": amount, "interestRate": number, "timestamp": number})),
        "user": address,
        "counterparty": address,
    }
)
MEDIATION_FEES = record(
    {
        "user": address,
        "network": address,
        "mediationFees": list_of(
            record(
                {"value": amount, "from": address, "to": address, "transactionHash": hash32, "timestamp": number}
            )
        ),
    }
)
SUM = record({"sender": address, "receiver": address, "startTime": number, "endTime": number, "value": amount})
TRANSFER = record(
    {
        "currencyNetwork": address,
        "path": list_of(address),
        "value": amount,
        "feePayer": FEE_PAYER,
        "totalFees": amount,
        "feesPaid": list_of(amount),
        "extraData": data,
    }
)
DEBTS = record(
    {
        "currencyNetwork": address,
        "debts": list_of(
            record(
                {"debtor": address, "value": amount, "maximumClaimableValue": amount},
                {"claimPath": list_of(address)},
            )
        ),
    }
)
ORDER = record(
    {
        **dict.fromkeys(("exchangeContractAddress", "maker", "taker", "feeRecipient"), address),
        **dict.fromkeys(("makerTokenAddress", "takerTokenAddress"), address),
        **dict.fromkeys(("makerFee", "takerFee", "makerTokenAmount", "takerTokenAmount"), amount),
        **dict.fromkeys(("salt", "expirationUnixTimestampSec"), amount),
        **dict.fromkeys(("filledMakerTokenAmount", "filledTakerTokenAmount"), amount),
        **dict.fromkeys(("cancelledMakerTokenAmount", "cancelledTakerTokenAmount"), amount),
        **dict.fromkeys(("availableMakerTokenAmount", "availableTakerTokenAmount"), amount),
        "ecSignature": record({"v": number, "r": hash32, "s": hash32}),
    }
)
IDENTITY = record({"identity": address, "nextNonce": number, "balance": amount, "implementationAddress": address})
OUTCOME = record({"status": one_of("success", "failure", "pending", "not found")})

_NETWORK = "/networks/[^/]+"
_USER = "/users/[^/]+"
_ENDPOINTS: tuple[tuple[str, str, Shape], ...] = (
    ("GET", "/version", text),
    ("GET", "/blocknumber", number),
    ("GET", "/networks", list_of(NETWORK)),
    ("GET", _NETWORK, NETWORK),
    ("GET", f"{_NETWORK}/users", list_of(address)),
    ("GET", f"{_NETWORK}{_USER}", record({**ACCOUNT, "frozenBalance": amount})),
    ("GET", f"{_NETWORK}{_USER}/contacts", list_of(address)),
    ("GET", f"({_NETWORK})?{_USER}/trustlines", list_of(TRUSTLINE)),
    ("GET", f"{_NETWORK}{_USER}/trustlines/[^/]+", TRUSTLINE),
    ("GET", f"{_NETWORK}{_USER}/trustlines/[^/]+/events", list_of(_NETWORK_EVENT_OF_USER)),
    ("GET", f"{_NETWORK}{_USER}/events", list_of(_NETWORK_EVENT_OF_USER)),
    ("GET", f"{_NETWORK}{_USER}/interests", list_of(INTERESTS)),
    ("GET", f"{_NETWORK}{_USER}/interests/[^/]+", INTERESTS),
    ("GET", f"{_NETWORK}{_USER}/mediation-fees", MEDIATION_FEES),
    ("GET", f"{_NETWORK}{_USER}/transferredSums/[^/]+", SUM),
    (
        "POST",
        f"{_NETWORK}/path-info",
        record({"path": list_of(address), "fees": amount, "feePayer": FEE_PAYER, "estimatedGas": number}),
    ),
    ("POST", f"{_NETWORK}/max-capacity-path-info", record({"capacity": amount, "path": list_of(address)})),
    (
        "POST",
        f"{_NETWORK}/close-trustline-path-info",
        record({"path": list_of(address), "fees": amount, "value": amount, "feePayer": FEE_PAYER}),
    ),
    ("GET", f"{_USER}/events", list_of(any_event)),
    ("GET", f"{_USER}/balance", amount),
    ("GET", f"{_USER}/tx-?infos", record({"gasPrice": amount, "balance": amount, "nonce": number})),
    ("GET", f"{_USER}/debts", list_of(DEBTS)),
    ("GET", "/transfers", list_of(TRANSFER)),
    ("POST", "/relay", hash32),
    ("GET", "/transactions/[^/]+/status", OUTCOME),
    ("POST", "/request-ether", either(nothing, hash32)),
    ("GET", "/factories", list_of(address)),
    ("POST", "/identities", IDENTITY),
    ("GET", "/identities/[^/]+", IDENTITY),
    ("GET", "/identities/[^/]+/meta-transactions/[^/]+/status", OUTCOME),
    (
        "POST",
        "/meta-transaction-fees",
        list_of(
            record(
                {"baseFee": amount, "gasPrice": amount, "feeRecipient": address, "currencyNetworkOfFees": address}
            )
        ),
    ),
    ("POST", "/relay-meta-transaction", hash32),
    (
        "GET",
        "/delegation-fees",
        list_of(
            record(
                {
                    "feeSender": address,
                    "feeRecipient": address,
                    "totalFee": amount,
                    "currencyNetworkOfFees": address,
                }
            )
        ),
    ),
    ("GET", "/exchange/exchanges", list_of(address)),
    ("GET", "/exchange/eth", list_of(address)),
    ("GET", "/tokens", list_of(address)),
    ("GET", "/exchange/orderbook", record({"asks": list_of(ORDER), "bids": list_of(ORDER)})),
    ("GET", "/exchange/orders", list_of(ORDER)),
    ("GET", "/exchange/order/[^/]+", ORDER),
    ("POST", "/exchange/order", either(nothing, no_null)),
    ("GET", f"/exchange/([^/]+/)?{_USER[1:]}/events", list_of(_EXCHANGE_EVENT_OF_USER)),
    ("GET", f"/tokens/[^/]+{_USER}/balance", amount),
    ("GET", f"/tokens/[^/]+{_USER}/events", list_of(_TOKEN_EVENT_OF_USER)),
    ("POST", "/messages/[^/]+", one_of("Ok")),
)
ENDPOINTS = tuple((method, re.compile(pattern), shape) for method, pattern, shape in _ENDPOINTS)

FAULT = record({"message": text})
# Not the sender's type: the client opens a message, as wallets expect it, only where nothing names its type.
MESSAGE = record({"message": text, "timestamp": number})

# The two notifications of a balance that are no events of the chain; the client passes on what it gets.
LIVE_BALANCE = record(
    {
        **BETWEEN,
        **ACCOUNT,
        "user": address,
        "counterParty": address,
        "networkAddress": address,
        "timestamp": number,
    }
)
NETWORK_BALANCE = record({**ACCOUNT, "user": address, "networkAddress": address, "timestamp": number})


def _live_event(value: Any, place: str) -> Iterator[str]:
    kind = value.get("type") if isinstance(value, dict) else None
    if kind == "BalanceUpdate":
        yield from LIVE_BALANCE(value, place)
    elif kind == "NetworkBalance":
        yield from NETWORK_BALANCE(value, place)
    else:
        yield from any_event(value, place)


def faults(arrived: dict[str, Any]) -> list[str]:
    """Say what is wrong with an HTTP exchange (method, url, status, answer) or a WebSocket frame (frame, url)."""
    if "frame" in arrived:
        return list(_frame_faults(json.loads(arrived["frame"]), arrived["url"]))
    path = re.sub(r"^\w+://[^/]+/api/v1|\?.*$", "", arrived["url"])
    place = f"{arrived['method']} {arrived['url']}: the answer {arrived['status']}"
    if "answer" not in arrived:
        return [f"{place} is no JSON"]
    if arrived["status"] != 200:
        return list(FAULT(arrived["answer"], place))
    for method, pattern, shape in ENDPOINTS:
        if method == arrived["method"] and pattern.fullmatch(path):
            return list(shape(arrived["answer"], place))
    return [f"{place}: no type is known for this endpoint"]


def _frame_faults(frame: Any, url: str) -> Iterator[str]:
    place = f"{url}: the frame {json.dumps(frame)[:500]}"
    yield from record({"jsonrpc": one_of("2.0")})(frame, place)
    if "method" in frame:
        event = _live_event if url.endswith("/events") else MESSAGE
        yield from record({"event": event})(frame.get("params"), f"{place}: params")
    elif isinstance(frame.get("result"), list):
        yield from list_of(MESSAGE)(frame["result"], place)
    elif "result" in frame:
        yield from either(text, number)(frame["result"], place)
    else:
        yield from record({"error": record({"code": number, "message": text})})(frame, place)
