"""The server without a relay: a small application behind the real parent and its workers, run as a process.

``python -m tests.support.small_service SETTINGS`` serves on what the file, JSON, says; see `SmallApp`.
"""

import json
import logging
import os
import sys
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from relay.serving.generation import Plan
from relay.serving.parent import Parent
from relay.settings import RestSettings
from relay.sync.told import Standing


class BadSettings(Exception):
    """What an operator must mend."""


class SmallApp:
    """Answers at some paths; each begins a line of what is asked with the id of the process that answers."""

    def __init__(self, name: str) -> None:
        self.is_ready = True
        self._name = name
        self._taken: list[Any] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path, body = environ["PATH_INFO"], environ["wsgi.input"].read()
        told: dict[str, Any] = {"pid": os.getpid(), "name": self._name}
        if path == "/slow":
            time.sleep(float(environ["QUERY_STRING"]))
        elif path == "/echo":
            told |= {
                "body": body.decode("latin-1"),
                "length": environ.get("CONTENT_LENGTH"),
                "query": environ["QUERY_STRING"],
            }
            told["environ"] = {key: value for key, value in environ.items() if isinstance(value, str)}
        elif path == "/large":
            told["large"] = "x" * int(environ["QUERY_STRING"])
        elif path == "/fail":
            raise ValueError("on purpose")
        elif path == "/take":
            self._taken.append(taken := environ["relay.take_socket"]())
            threading.Thread(target=_echo, args=(taken,), daemon=True).start()
            return ()
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(told).encode()]

    def stop(self) -> None:
        for taken in self._taken:
            with suppress(OSError):
                taken.send(b"the service stops")


def _echo(taken: Any) -> None:
    taken.setblocking(True)
    taken.sendall(b"taken\n")
    while data := taken.recv(1024):
        taken.sendall(data)


def main() -> int:
    path = Path(sys.argv[1])
    logging.basicConfig(level=logging.INFO)

    def make_plan() -> Plan:
        try:
            given = json.loads(path.read_text())
            rest = RestSettings(**given["rest"])
        except (ValueError, TypeError) as error:
            raise BadSettings(f"bad settings: {error}") from error

        def make_app(_standing: Standing) -> SmallApp:
            if given.get("fault"):
                raise BadSettings(given["fault"])
            return SmallApp(given.get("name", ""))

        return Plan(rest, make_app)

    def tell(error: Exception) -> None:
        sys.stderr.write(f"fault: {error}\n")

    def say(plan: Plan) -> None:
        sys.stderr.write(f"serving {plan.rest.bind}\n")

    try:
        return Parent(make_plan, faults=(BadSettings,), tell_fault=tell, when_ready=say).run()
    except BadSettings as error:
        tell(error)
        return 2


if __name__ == "__main__":
    sys.exit(main())
