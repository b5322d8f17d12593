"""What the local world says and shows: faults in one sentence, progress on a terminal and elsewhere."""

import errno
import io
from pathlib import Path

import pytest

from relay.devnet.console import Console
from relay.devnet.demo import run_demo
from relay.devnet.errors import DiskFull, from_os_error
from relay.devnet.guide import guide
from relay.devnet.plan import plan_village
from relay.devnet.village import Village
from tests.support.local_world import ADDRESSES


def test_a_full_disk_is_called_a_full_disk() -> None:
    error = from_os_error(OSError(errno.ENOSPC, "No space left on device", "/somewhere/file"), "/somewhere")
    assert isinstance(error, DiskFull)
    assert str(error) == "The disk is full: no space is left to write below /somewhere/file."


def test_another_fault_names_the_file_and_the_reason() -> None:
    error = from_os_error(
        PermissionError(errno.EACCES, "Permission denied", "/somewhere/lock"), Path("/somewhere")
    )
    assert str(error) == "Cannot use /somewhere/lock: Permission denied."


def test_progress_is_plain_lines_where_there_is_no_terminal() -> None:
    stream = io.StringIO()
    with Console(stream).step("Working") as step:
        step.progress(1, 2)
        step.tell("Working harder")
    assert stream.getvalue() == "Working ...\nWorking harder ...\n"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_keeps_one_line_of_what_was_done() -> None:
    stream = Terminal()
    with Console(stream).step("Working"):
        pass
    assert stream.getvalue().rsplit("\x1b[K", 1)[1].startswith("[done] Working (0.")


def test_a_step_that_fails_leaves_no_claim_to_be_done() -> None:
    stream = Terminal()
    with pytest.raises(ValueError, match="no"), Console(stream).step("Working"):
        raise ValueError("no")
    assert "done" not in stream.getvalue()


def test_the_guide_has_a_request_for_each_of_the_fifteen_endpoints() -> None:
    village = Village(plan_village(), ADDRESSES)
    text = guide(village, "http://localhost:5000/api/v1", lambda _person: 3)
    requests = [line for line in text.splitlines() if line.strip().startswith("curl")]
    assert len(requests) == len(set(requests)) == 15
    assert all("http://localhost:5000/api/v1/" in request for request in requests)


@pytest.mark.parametrize(
    ("port", "rpc_port", "complaint"),
    [(70_000, 8545, "PORT=70000 is no TCP port"), (0, 8545, "PORT=0 is no TCP port")],
)
def test_a_number_that_is_no_port_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], port: int, rpc_port: int, complaint: str
) -> None:
    assert run_demo(tmp_path / ".demo", port, rpc_port, stream=io.StringIO()) == 2
    assert complaint in capsys.readouterr().err
