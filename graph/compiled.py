"""Whether this installation has the compiled kernel; without it paths are searched in pure Python, and slower."""

import logging
from collections.abc import Callable
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graph._kernel import Network

_logger = logging.getLogger(__name__)


@cache
def kernel_network(load: Callable[[str], ModuleType] = import_module) -> "type[Network] | None":
    """Return the kernel's ``Network``, or None where the kernel has not been built, which is logged once.

    ``load`` imports a module by its name.
    """
    try:
        kernel = load("graph._kernel")
    except ImportError as error:
        _logger.warning(
            "Paths are searched in pure Python, which is slower: the compiled kernel cannot be loaded (%s). "
            "Installing anew where there is a C compiler, or with KERNEL_COMPILER=zig, builds it.",
            error,
        )
        return None
    network: type[Network] = kernel.Network
    return network
