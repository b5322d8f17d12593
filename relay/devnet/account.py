"""The account that the demo's relay sends with: a key of its own in an encrypted keystore, and plenty of ether."""

import json
import secrets

from eth_account import Account

from relay.devnet.anvil import Anvil
from relay.devnet.files import write_atomically
from relay.devnet.home import Home

WEALTH = 10_000 * 10**18
"""What the account has at every start, in wei."""

_KEY_ROUNDS = 10_000


def provide_account(home: Home, node: Anvil) -> None:
    """Make the account's files unless they are there, and see to its ether.

    Raises:
        DevnetError: if the node does not answer.
        OSError: if a file cannot be written.

    """
    address = _address(home)
    if address is None:
        password = secrets.token_hex(16)
        account = Account.create()
        write_atomically(home.password, f"{password}\n")
        home.password.chmod(0o600)
        keystore = Account.encrypt(account.key, password, kdf="pbkdf2", iterations=_KEY_ROUNDS)
        write_atomically(home.keystore, json.dumps(keystore))
        address = account.address
    node.rpc("anvil_setBalance", address, hex(WEALTH))


def _address(home: Home) -> str | None:
    try:
        address = json.loads(home.keystore.read_text(encoding="utf-8"))["address"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return f"0x{str(address).removeprefix('0x')}" if home.password.exists() else None
