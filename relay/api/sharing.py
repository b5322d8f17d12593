"""What a process with a share of the networks leaves to others."""

from flask import Flask, request
from werkzeug.exceptions import HTTPException

from relay.addresses import to_checksum
from relay.share import Share


class NetworkElsewhere(HTTPException):
    """421: another process answers this; the load balancer sent the request to the wrong one."""

    code = 421
    error_code = "network_elsewhere"
    description = "another process of this relay answers this"


def leave_others_networks(app: Flask, share: Share, prefix: str, anywhere: frozenset[str]) -> None:
    """Answer for the networks of a share only.

    Below ``prefix``, what is asked about all networks or none is refused, but for the endpoints that ``anywhere``
    names and the documents of the API itself.
    """

    @app.before_request
    def refuse_what_is_elsewhere() -> None:
        network = (request.view_args or {}).get("network")
        if network is not None:
            if not share.holds(network):
                raise NetworkElsewhere(
                    f"the currency network {to_checksum(network)} is answered for by another process: "
                    f"this one holds those whose address ends with one of {share}"
                )
            return
        is_broken = request.path.startswith(f"{prefix}/networks/")  # an address that is none is found nowhere
        is_served_here = request.endpoint in anywhere or not request.path.startswith(f"{prefix}/")
        if not is_served_here and not is_broken:
            raise NetworkElsewhere(
                f"this process answers below {prefix}/networks/ only, for addresses that end with one of {share}"
            )
