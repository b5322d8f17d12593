"""What the demo prints when it serves: the networks, some people, and requests to try."""

import json
from collections.abc import Callable

from eth_account import Account

from relay.devnet.anvil import CHAIN_ID
from relay.devnet.deploy import NETWORKS
from relay.devnet.plan import Payment, Person
from relay.devnet.village import Village

PEOPLE_SHOWN = 6


def guide(village: Village, base: str, nonce_of: Callable[[Person], int]) -> str:
    """Return the text; ``base`` is the API's URL up to /api/v1, ``nonce_of`` tells a person's next nonce."""
    return "\n\n".join([_networks(village), _people(village), _requests(village, base, nonce_of)])


def _networks(village: Village) -> str:
    rows = [f"  {terms.symbol:<5} {village.networks[terms.symbol]}  {terms.name}" for terms in NETWORKS]
    return "\n".join(["Currency networks", *rows])


def _people(village: Village) -> str:
    shown = village.plan.people[:PEOPLE_SHOWN]
    rows = [f"  {person.name:<8}{person.address}" for person in shown]
    rest = len(village.plan.people) - len(shown)
    return "\n".join(["People", *rows, f"  ... and {rest} more, all with their private keys in people.json"])


def _requests(village: Village, base: str, nonce_of: Callable[[Person], int]) -> str:
    """Return a curl line for each endpoint of the REST document."""
    payment = next(p for p in village.plan.payments if p.symbol == "CASH" and len(p.path) == 4)
    user, other = payment.path[:2]
    network = f"{base}/networks/{village.networks['CASH']}"
    gets = [
        f"{base}/networks",
        network,
        f"{network}/users",
        f"{network}/users/{user.address}",
        f"{network}/users/{user.address}/trustlines",
        f"{network}/users/{user.address}/trustlines/{other.address}",
        f"{network}/users/{user.address}/spendable",
        f"{network}/users/{user.address}/spendables/{payment.path[-1].address}",
        f"{network}/events?type=Transfer",
        f"{network}/users/{user.address}/events?type=TrustlineUpdate",
        f"{base}/users/{user.address}/events",
        f"{base}/users/{user.address}/tx-infos",
        f"{base}/blocknumber",
    ]
    path_info = _post(f"{network}/path-info", _path_question(payment))
    relay = _post(f"{base}/relay", {"rawTransaction": _gift(user, other, nonce_of(user))})
    lines = [*(f"  curl -s '{url}'" for url in gets), path_info, relay]
    return "\n".join([f"Try ({user.name} in CASH; the last one sends a real transaction)", *lines])


def _path_question(payment: Payment) -> dict[str, str]:
    return {"from": payment.path[0].address, "to": payment.path[-1].address, "value": "1000"}


def _post(url: str, body: dict[str, str]) -> str:
    return f"  curl -s -H 'Content-Type: application/json' -d '{json.dumps(body)}' '{url}'"


def _gift(sender: Person, receiver: Person, nonce: int) -> str:
    """Return a signed transaction that sends 1 wei."""
    fields = {
        "chainId": CHAIN_ID,
        "to": receiver.address,
        "value": 1,
        "data": b"",
        "nonce": nonce,
        "gas": 21_000,
        "gasPrice": 2 * 10**9,
    }
    return "0x" + bytes(Account.sign_transaction(fields, sender.key).raw_transaction).hex()
