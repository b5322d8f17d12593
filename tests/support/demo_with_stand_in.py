"""Runs the demo with a program in the relay's place: DIRECTORY PORT RPC_PORT [fresh]."""

import sys
from pathlib import Path

from relay.devnet.demo import run_demo

STAND_IN = Path(__file__).with_name("stand_in_relay.py")

if __name__ == "__main__":
    directory, port, rpc_port, *rest = sys.argv[1:]
    sys.exit(
        run_demo(
            Path(directory),
            int(port),
            int(rpc_port),
            fresh="fresh" in rest,
            relay_command=lambda settings: [sys.executable, str(STAND_IN), str(settings)],
        )
    )
