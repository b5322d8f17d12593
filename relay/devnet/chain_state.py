"""The demo's chain from one start to the next: begun, populated, kept, continued."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from web3 import Web3

from relay.devnet.anvil import Anvil
from relay.devnet.deploy import Addresses, write_addresses
from relay.devnet.errors import DevnetError, from_os_error
from relay.devnet.files import write_atomically
from relay.devnet.home import Home
from relay.devnet.plan import GENESIS, plan_village
from relay.devnet.village import Progress, Village, catch_up, populate

SEED = 1

Say = Callable[[str], None]


class DemoChain:
    """The chain below a demo's home, on a port of 127.0.0.1, by an anvil ``binary``.

    anvil would write its state at its own end, over the last one. A power loss, a full disk or a kill would leave
    a torn file and no chain. So we ask it for its state after every change and replace the file as a whole.
    """

    def __init__(self, home: Home, binary: Path, port: int) -> None:
        self._home = home
        self._binary = binary
        self._port = port
        self._kept_block: str | None = None
        self._is_populated = False
        self.node = self._anvil(load=None)

    def resume(self, say: Say) -> Village | None:
        """Start the node with the chain of the last time; None, said aloud, if it cannot go on."""
        home = self._home
        if not home.complete.exists():
            return None
        if not home.chain.exists():
            say("The chain of the last time is missing: beginning anew.")
            return None
        self.node = self._anvil(load=home.chain)
        try:
            self.node.start()
            village = self._recognise()
            catch_up(self.node)
        except DevnetError as error:
            self.node.stop()
            aside = home.set_aside(home.chain)
            say(f"The chain of the last time cannot be used and is kept as {aside.name}: beginning anew. {error}")
            return None
        self._is_populated = True
        return village

    def begin(self, progress: Progress) -> Village:
        """Start the node with a new chain and populate it; marked complete only at the very end."""
        home = self._home
        home.forget_chain()
        self.node = self._anvil(load=None)
        self.node.start()
        village = populate(self.node, Web3(Web3.HTTPProvider(self.node.url)), SEED, progress)
        tip = self.node.rpc("eth_getBlockByNumber", "latest", False)
        catch_up(self.node)
        write_addresses(home.addresses, village.addresses)
        people = [
            {"name": person.name, "address": person.address, "privateKey": "0x" + person.key.hex()}
            for person in village.plan.people
        ]
        write_atomically(home.people, json.dumps(people, indent=2) + "\n")
        self.keep()
        mark = {"seed": SEED, "block": tip["number"], "hash": tip["hash"]}
        write_atomically(home.complete, json.dumps(mark) + "\n")
        self._is_populated = True
        return village

    def block_number(self) -> int:
        """Return the number of the chain's last block."""
        return int(self.node.rpc("eth_blockNumber"), 16)

    def keep(self) -> None:
        """Write the chain's state for the next start, if it has changed since the last time.

        Raises:
            DevnetError: if the node does not answer.
            OSError: if the file cannot be written; the last one remains.

        """
        block = self.node.rpc("eth_getBlockByNumber", "latest", False)["hash"]
        if block == self._kept_block:
            return
        dumped = gzip.decompress(bytes.fromhex(self.node.rpc("anvil_dumpState").removeprefix("0x")))
        write_atomically(self._home.chain, json.dumps(_with_one_genesis(json.loads(dumped))))
        self._kept_block = block

    def stop(self, say: Say) -> None:
        """Keep the state once more and end the node."""
        try:
            if self._is_populated and self.node.is_running():
                self.keep()
        except DevnetError as error:
            say(f"The last seconds of the chain are not kept. {error}")
        except OSError as error:
            say(f"The last seconds of the chain are not kept. {from_os_error(error, self._home.directory)}")
        finally:
            self.node.stop()

    def _anvil(self, load: Path | None) -> Anvil:
        return Anvil(
            self._binary,
            port=self._port,
            load=load,
            timestamp=GENESIS,
            log=self._home.log("anvil"),
            pid_file=self._home.pid_file("anvil"),
        )

    def _recognise(self) -> Village:
        """Return the village on the running chain.

        Raises:
            DevnetError: if the chain is not the one that the mark describes.

        """
        try:
            mark: dict[str, Any] = json.loads(self._home.complete.read_text(encoding="utf-8"))
            addresses = Addresses.from_json(json.loads(self._home.addresses.read_text(encoding="utf-8")))
            seed, number, block_hash = int(mark["seed"]), str(mark["block"]), str(mark["hash"])
        except (OSError, ValueError, KeyError, TypeError):
            raise DevnetError("The files that describe it are missing or damaged.") from None
        block = self.node.rpc("eth_getBlockByNumber", number, False)
        if block is None or block["hash"] != block_hash:
            raise DevnetError("It is not the chain of the village.")
        return Village(plan_village(seed), addresses)


def _with_one_genesis(state: dict[str, Any]) -> dict[str, Any]:
    """Return anvil's state without the first blocks of its own that it adds at each start from a file.

    With several of them in the file it is left to chance which one it takes for the chain's.
    """
    blocks = state["blocks"]
    kept = [
        block
        for block in blocks
        if int(block["header"]["number"], 16) != 0 or int(block["header"]["timestamp"], 16) == GENESIS
    ]
    return {**state, "blocks": kept}
