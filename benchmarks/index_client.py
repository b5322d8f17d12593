"""A client of the API that keeps its connection, so that what it measures is the answer and not the handshake."""

import http.client
import json
import time
from typing import Any

PREFIX = "/api/v1"


class Client:
    """GETs one after the other on one connection."""

    def __init__(self, port: int) -> None:
        self._http = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def get(self, path: str) -> tuple[int, int | None, bytes]:
        """Return the status, the block that the answer speaks of and the body; OSError if nobody listens."""
        try:
            self._http.request("GET", PREFIX + path)
            answer = self._http.getresponse()
            body = answer.read()
        except http.client.HTTPException as error:
            self._http.close()
            raise ConnectionError(str(error)) from error
        except OSError:
            self._http.close()
            raise
        block = answer.getheader("X-Trustlines-Block")
        return answer.status, None if block is None else int(block), body

    def json(self, path: str) -> tuple[int | None, Any]:
        """Return the block and the content of an answer that must be a success; RuntimeError if it is none."""
        status, block, body = self.get(path)
        if status != 200:
            raise RuntimeError(f"GET {path} answered {status}: {body[:200].decode(errors='replace')}")
        return block, json.loads(body)

    def until_ready(self, path: str, seconds: float = 120) -> float:
        """Return the time at which a path is first answered with success; RuntimeError if that never happens."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                if self.get(path)[0] == 200:
                    return time.perf_counter()
            except OSError:
                pass
            time.sleep(0.01)
        raise RuntimeError(f"GET {path} was not answered within {seconds:g} s")

    def close(self) -> None:
        """Close the connection."""
        self._http.close()
