"""WebSocket frames as far as the benchmark needs them, quick enough for thousands of readers in one process."""

from collections.abc import Iterator


class Frames:
    """Cuts what arrives into frames: unmasked ones, each a whole message."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield opcode and payload of each frame that is complete."""
        data, at = self._rest + data, 0
        while len(data) - at >= 2:
            size, begin = data[at + 1] & 0x7F, at + 2
            if size >= 126:
                wide = 2 if size == 126 else 8
                size, begin = int.from_bytes(data[begin : begin + wide]), begin + wide
            if len(data) < begin + size:
                break
            yield data[at] & 0xF, data[begin : begin + size]
            at = begin + size
        self._rest = data[at:]


def masked(opcode: int, payload: bytes) -> bytes:
    """Return a frame as clients send it; a mask of zeros leaves the payload as it is."""
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else bytes([0xFE]) + size.to_bytes(2)
    return bytes([0x80 | opcode]) + length + bytes(4) + payload
