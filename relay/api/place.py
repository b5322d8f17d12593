"""Whom a request comes from, as far as that can be told, and who signed it."""

import re

from flask import request

from relay.addresses import Address
from relay.api.faults import ValidationFailed
from relay.clients import Clients
from relay.messaging.proof import Proof

TIMESTAMP_HEADER, SIGNATURE_HEADER = "X-Trustlines-Timestamp", "X-Trustlines-Signature"

_SIGNATURE = re.compile(r"0x[0-9a-fA-F]{130}")


def client_of_request(clients: Clients) -> str:
    """Return what names the client of the request being answered."""
    return clients.of(request.environ)


def proof_of_headers(signer: Address) -> Proof | None:
    """Return what the headers claim to prove, None without them; raises ValidationFailed."""
    timestamp, signature = request.headers.get(TIMESTAMP_HEADER), request.headers.get(SIGNATURE_HEADER)
    if timestamp is None and signature is None:
        return None
    if timestamp is None or re.fullmatch(r"[0-9]{1,12}", timestamp) is None:
        raise ValidationFailed([(TIMESTAMP_HEADER, "expected Unix seconds")])
    if signature is None or _SIGNATURE.fullmatch(signature) is None:
        raise ValidationFailed([(SIGNATURE_HEADER, "expected 0x and 130 hexadecimal digits")])
    return Proof(signer, int(timestamp), bytes.fromhex(signature[2:]))
