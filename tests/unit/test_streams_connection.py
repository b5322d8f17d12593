"""A WebSocket connection without a network: what it does with slow readers, silence and pieces."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

from websockets.frames import Frame, Opcode
from websockets.protocol import CLIENT, OPEN, Protocol

from relay.streams.connection import READ_BYTES, Connection
from relay.streams.hub import End, Receipt
from relay.streams.outflow import Outflow

LIMIT, LAST_WORD_SECONDS = 100_000, 0.05


class Wire:
    """An asyncio transport whose other side reads only when told to."""

    def __init__(self) -> None:
        self.waiting = b""
        self.is_closed = self.is_aborted = self.is_paused = False
        self.other = Protocol(CLIENT, state=OPEN)

    def write(self, data: bytes) -> None:
        self.waiting += data

    def get_write_buffer_size(self) -> int:
        return len(self.waiting)

    def close(self) -> None:
        self.is_closed = True

    def abort(self) -> None:
        self.is_aborted = True

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False

    def read(self) -> list[Frame]:
        data, self.waiting = self.waiting, b""
        self.other.receive_data(data.removeprefix(b"hello"))
        return [event for event in self.other.events_received() if isinstance(event, Frame)]

    def answer_pings(self) -> bytes:
        self.read()
        return b"".join(self.other.data_to_send())


class Talk:
    def __init__(self) -> None:
        self.heard: list[str | bytes] = []
        self.is_closed = False

    async def receive(self, text: str | bytes) -> None:
        self.heard.append(text)

    def close(self) -> None:
        self.is_closed = True

    def last_word(self, why: End, *, is_all_sent: bool) -> bytes:
        return f"the last word: {why.code}{'' if is_all_sent else ', not all was sent'}".encode()


def arrive(connection: Connection, data: bytes) -> None:
    """Hand a connection what arrives, in portions that its buffer takes."""
    for start in range(0, len(data), READ_BYTES):
        portion = data[start : start + READ_BYTES]
        connection.get_buffer(-1)[: len(portion)] = portion
        connection.buffer_updated(len(portion))


def run(act: Callable[[Connection, Wire, Talk], Any]) -> None:
    async def inside() -> None:
        ended: list[Connection] = []
        connection, wire, talk = (
            Connection(
                b"hello", Outflow(LIMIT, LAST_WORD_SECONDS), memoryview(bytearray(READ_BYTES)), ended.append
            ),
            Wire(),
            Talk(),
        )
        connection.carry(talk)
        connection.connection_made(cast("asyncio.Transport", wire))
        await act(connection, wire, talk)
        connection.connection_lost(None)
        assert talk.is_closed
        assert ended == [connection]

    asyncio.run(inside())


def last_words(frames: list[Frame]) -> tuple[bytes, int, bytes]:
    """Return the last notification, and the code and reason of the close frame behind it."""
    word, close = frames[-2:]
    assert (word.opcode, close.opcode) == (Opcode.TEXT, Opcode.CLOSE)
    return bytes(word.data), int.from_bytes(close.data[:2], "big"), bytes(close.data[2:])


def test_who_reads_too_slowly_is_told_why_behind_what_waits_already_and_nothing_more() -> None:
    async def act(connection: Connection, wire: Wire, talk: Talk) -> None:
        for _ in range(9):
            connection.notify(b"x" * 10_000, None)
        assert not talk.is_closed
        for _ in range(9):
            connection.notify(b"x" * 10_000, None)
        assert talk.is_closed
        assert len(wire.waiting) < LIMIT + 11_000, "the bound holds"
        frames = wire.read()
        assert len(frames) == 10 + 2
        word, code, reason = last_words(frames)
        assert (word, code) == (b"the last word: slow_reader", 1013)
        assert b"slow reader" in reason

    run(act)


def test_who_reads_nothing_at_all_is_cut_off_soon_after_the_last_word() -> None:
    async def act(connection: Connection, wire: Wire, talk: Talk) -> None:
        for _ in range(20):
            connection.notify(b"x" * 10_000, None)
        assert not wire.is_aborted
        await asyncio.sleep(2 * LAST_WORD_SECONDS)
        assert wire.is_aborted

    run(act)


def test_who_reads_the_last_word_and_closes_is_let_go_in_peace() -> None:
    async def act(connection: Connection, wire: Wire, talk: Talk) -> None:
        connection.end(End("interrupted", "because"))
        wire.read()
        arrive(connection, b"".join(wire.other.data_to_send()))
        assert wire.is_closed
        assert not wire.is_aborted

    run(act)


def test_what_is_held_back_for_a_slow_reader_is_bounded_too() -> None:
    lost: list[int] = []

    async def act(connection: Connection, wire: Wire, talk: Talk) -> None:
        connection.hold()
        for number in range(12):
            connection.notify(b"x" * 10_000, Receipt(lambda: None, lambda number=number: lost.append(number)))
        word, code, _ = last_words(wire.read())
        assert (word, code) == (b"the last word: slow_reader, not all was sent", 1013)
        assert lost == list(range(12)), "and so is what came after"

    run(act)


def test_what_was_asked_for_may_wait_beside_the_rest_until_it_is_read() -> None:
    async def act(connection: Connection, wire: Wire, talk: Talk) -> None:
        assert connection.has_room()
        connection.allow(5 * LIMIT)
        for _ in range(50):
            connection.notify(b"x" * 10_000, None)
        assert not connection.has_room()
        assert not talk.is_closed
        wire.read()
        connection.resume_writing()
        for _ in range(12):
            connection.notify(b"x" * 10_000, None)
        assert talk.is_closed, "what was asked for before is read"

    run(act)


def test_notifications_held_back_come_in_order_after_a_pong() -> None:
    async def act(connection: Connection, wire: Wire, talk: Talk) -> None:
        connection.hold()
        connection.notify(b"1", None)
        connection.respond(b"0")
        connection.release()
        connection.notify(b"2", None)
        frames = wire.read()
        assert [bytes(frame.data) for frame in frames if frame.opcode is Opcode.TEXT] == [b"0"]
        arrive(connection, b"".join(wire.other.data_to_send()))
        assert [bytes(frame.data) for frame in wire.read()] == [b"1", b"2"]

    run(act)


def test_what_is_held_back_comes_late_rather_than_never() -> None:
    async def act(connection: Connection, wire: Wire, talk: Talk) -> None:
        connection.hold()
        connection.release()
        connection.notify(b"late", None)
        wire.waiting = b""
        await asyncio.sleep(1.1)
        assert b"late" in wire.waiting

    run(act)


def test_a_receipt_tells_that_the_other_side_has_read_it() -> None:
    async def act(connection: Connection, wire: Wire, talk: Talk) -> None:
        told: list[str] = []
        for name in "ab":
            connection.notify(b"{}", Receipt(lambda name=name: told.append(name), lambda: told.append("lost")))
        await asyncio.sleep(0)
        assert told == []
        arrive(connection, wire.answer_pings())
        assert told == ["a", "b"]

    run(act)


def test_a_receipt_tells_that_the_connection_ended_before() -> None:
    told: list[str] = []

    async def act(connection: Connection, wire: Wire, talk: Talk) -> None:
        connection.notify(b"{}", Receipt(lambda: told.append("read"), lambda: told.append("sent, lost")))
        await asyncio.sleep(0)
        connection.notify(b"{}", Receipt(lambda: told.append("read"), lambda: told.append("unsent, lost")))
        connection.hold()
        connection.notify(b"{}", Receipt(lambda: told.append("read"), lambda: told.append("held, lost")))

    run(act)
    assert told == ["sent, lost", "unsent, lost", "held, lost"]


def test_who_does_not_answer_a_ping_is_cut_off() -> None:
    async def act(connection: Connection, wire: Wire, talk: Talk) -> None:
        now = asyncio.get_running_loop().time()
        connection.check(now, 30.0)
        connection.check(now + 29, 30.0)
        assert not wire.is_aborted
        connection.check(now + 31, 30.0)
        assert wire.is_aborted

    run(act)


def test_who_answers_stays() -> None:
    async def act(connection: Connection, wire: Wire, talk: Talk) -> None:
        now = asyncio.get_running_loop().time()
        for second in (0, 31, 62):
            connection.check(now + second, 30.0)
            arrive(connection, wire.answer_pings())
        assert not wire.is_aborted

    run(act)


def test_a_message_in_pieces_is_heard_whole_and_in_order() -> None:
    async def act(connection: Connection, wire: Wire, talk: Talk) -> None:
        wire.other.send_text(b"on", fin=False)
        wire.other.send_continuation(b"e", fin=True)
        wire.other.send_text(b"two")
        data = b"".join(wire.other.data_to_send())
        for at in range(len(data)):
            arrive(connection, data[at : at + 1])
        await asyncio.sleep(0.01)
        assert talk.heard == [b"one", b"two"]

    run(act)


def test_a_message_in_thousands_of_pieces_is_heard_whole() -> None:
    async def act(connection: Connection, wire: Wire, talk: Talk) -> None:
        wire.other.send_text(b"x", fin=False)
        for _ in range(200):
            wire.other.send_continuation(b"y" * 300, fin=False)
        wire.other.send_continuation(b"z", fin=True)
        arrive(connection, b"".join(wire.other.data_to_send()))
        await asyncio.sleep(0.01)
        assert talk.heard == [b"x" + b"y" * 60_000 + b"z"]

    run(act)


def test_from_who_sends_frames_too_often_nothing_is_read_for_a_while() -> None:
    async def act(connection: Connection, wire: Wire, talk: Talk) -> None:
        for _ in range(310):
            wire.other.send_ping(b"")
        arrive(connection, b"".join(wire.other.data_to_send()))
        assert wire.is_paused
        await asyncio.sleep(0.4)
        assert not wire.is_paused

    run(act)


def test_a_long_answer_cuts_nobody_off_and_notifications_behind_it_do() -> None:
    async def act(connection: Connection, wire: Wire, talk: Talk) -> None:
        connection.respond(b"x" * 5 * LIMIT)
        assert not wire.is_aborted
        connection.notify(b"y" * (LIMIT - 1000), None)
        assert not talk.is_closed
        connection.notify(b"y" * LIMIT, None)
        assert last_words(wire.read())[1] == 1013

    run(act)


def test_a_message_too_large_ends_the_connection() -> None:
    async def act(connection: Connection, wire: Wire, talk: Talk) -> None:
        wire.other.send_text(b"x" * 70_000)
        arrive(connection, b"".join(wire.other.data_to_send()))
        assert wire.is_closed
        assert (wire.read()[-1].data)[:2] == (1009).to_bytes(2, "big")
        assert talk.heard == []

    run(act)
