"""HTTP errors whose cause clients can tell by a stable ``error_code``, one of `relay.problems.KINDS`."""

from collections.abc import Sequence

from werkzeug.exceptions import (
    BadGateway,
    BadRequest,
    Conflict,
    Forbidden,
    NotFound,
    ServiceUnavailable,
    TooManyRequests,
    UnprocessableEntity,
)


class NotJson(BadRequest):
    """The body is no JSON."""

    error_code = "not_json"


class BodyUnreadable(BadRequest):
    """The transfer of the body broke off."""

    error_code = "body_unreadable"


class NetworkFrozen(BadRequest):
    """Nothing moves in the network."""

    error_code = "network_frozen"


class PartOfNoTransfer(BadRequest):
    """The event that was named is part of no transfer."""

    error_code = "part_of_no_transfer"


class NotServed(BadRequest):
    """What the relay was asked to do is at fault or would fail."""

    error_code = "refused"


class SignatureRequired(Forbidden):
    """Who asks is not proven to be who may."""

    error_code = "signature_required"


class NotWelcome(Forbidden):
    """Operators have banned the address."""

    error_code = "banned"


class MalformedAddressInUrl(NotFound):
    """The URL holds something else than an address."""

    error_code = "malformed_address"


class WrongChecksumInUrl(NotFound):
    """The capitals of an address in the URL contradict its checksum."""

    error_code = "wrong_checksum"


class MalformedHashInUrl(NotFound):
    """The URL holds something else than a hash."""

    error_code = "malformed_hash"


class NetworkUnknown(NotFound):
    """The network is not served."""

    error_code = "unknown_network"


class TokenUnknown(NotFound):
    """The token is not served."""

    error_code = "unknown_token"


class ExchangeUnknown(NotFound):
    """The exchange is not served."""

    error_code = "unknown_exchange"


class TransferUnknown(NotFound):
    """No such transfer is known."""

    error_code = "unknown_transfer"


class IdentityUnknown(NotFound):
    """There is no such identity."""

    error_code = "unknown_identity"


class OrderUnknown(NotFound):
    """There is no such order."""

    error_code = "unknown_order"


class DeviceUnknown(NotFound):
    """The user has no such device."""

    error_code = "unknown_device"


class RefusedByNode(Conflict):
    """The node does not take the transaction."""

    error_code = "node_refused"


class ValidationFailed(UnprocessableEntity):
    """Parameters are not acceptable: ``errors`` are their names and what is wrong with each."""

    error_code = "validation_failed"

    def __init__(self, errors: Sequence[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{field}: {text}" for field, text in errors))
        self.errors = tuple(errors)


class TransactionMalformed(UnprocessableEntity):
    """The raw transaction cannot be read."""

    error_code = "malformed_transaction"


class SignedForAnotherChain(UnprocessableEntity):
    """The transaction is signed for another chain."""

    error_code = "wrong_chain"


class OrderNotAcceptable(UnprocessableEntity):
    """The order cannot be filled as it stands."""

    error_code = "order_not_acceptable"


class NoToken(UnprocessableEntity):
    """What was given is no token of a device."""

    error_code = "invalid_token"


class Capped(TooManyRequests):
    """A cap of the configuration is reached."""

    error_code = "cap_reached"


class NodeFailed(BadGateway):
    """The node gave no usable answer."""

    error_code = "node_failed"


class Loading(ServiceUnavailable):
    """The graphs are not there yet."""

    error_code = "loading"


class NodeAway(ServiceUnavailable):
    """The node cannot be reached."""

    error_code = "node_unreachable"


class DatabaseAway(ServiceUnavailable):
    """The database cannot be reached."""

    error_code = "database_unreachable"


class DatabaseTooBusy(ServiceUnavailable):
    """No connection to the database became free in time."""

    error_code = "database_busy"


class Paused(ServiceUnavailable):
    """Operators have paused this."""

    error_code = "paused"


class TooMuchToDo(ServiceUnavailable):
    """The relay cannot do any more at the moment."""

    error_code = "overloaded"


class StorageFull(ServiceUnavailable):
    """The relay keeps as much of this as it may."""

    error_code = "storage_full"
