"""An installation without the compiled kernel works, and says once that it is slower."""

import importlib
import os
from types import ModuleType

import pytest

from graph.compiled import kernel_network


def no_kernel(name: str) -> ModuleType:
    raise ImportError(f"No module named {name!r}")


def test_without_a_kernel_the_search_in_python_announces_itself_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("WARNING", "graph.compiled"):
        assert [kernel_network(no_kernel) for _ in range(3)] == [None, None, None]
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "pure Python" in caplog.text
    assert "No module named 'graph._kernel'" in caplog.text


def test_with_a_kernel_nothing_is_announced(caplog: pytest.LogCaptureFixture) -> None:
    class Network:
        pass

    kernel = ModuleType("graph._kernel")
    vars(kernel)["Network"] = Network
    with caplog.at_level("INFO", "graph.compiled"):
        assert kernel_network(lambda _: kernel) is Network
    assert caplog.text == ""


def test_this_installation_has_the_kernel() -> None:
    try:
        importlib.import_module("graph._kernel")
    except ImportError as error:
        if os.environ.get("CI", "").lower() in ("1", "true", "yes"):
            raise
        pytest.skip(f"the kernel could not be built here ({error}): its tests are left out")
