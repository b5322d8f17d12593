"""Uses and misuses one build of the kernel: python run_kernel.py KERNEL SECONDS, in a process of its own.

Started by test_kernel_memory.py with a kernel that was built with sanitizers.
"""

import gc
import random
import sys
import time
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.support import kernel_fuzz


def load(path: str) -> Any:
    spec = spec_from_file_location("graph._kernel", path, loader=ExtensionFileLoader("graph._kernel", path))
    assert spec is not None
    kernel = module_from_spec(spec)
    assert spec.loader is not None
    spec.loader.exec_module(kernel)
    return kernel


def main(path: str, seconds: float) -> None:
    kernel = load(path)
    started = time.monotonic()
    networks = calls = 0
    while time.monotonic() < started + seconds * 0.8:
        rng = random.Random(networks)
        network, users = kernel_fuzz.a_network(kernel, rng)
        for _ in range(60):
            kernel_fuzz.use(network, users, rng)
            kernel_fuzz.misuse(kernel, network, users, rng)
            calls += 2
        networks += 1
    for seed in range(4):
        kernel_fuzz.use_in_threads(kernel, seed, seconds * 0.05)
    gc.collect()
    sys.stdout.write(f"{networks} networks, {calls} calls: clean\n")


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
