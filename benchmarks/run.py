"""Run a benchmark by its name: ``python -m benchmarks.run paths``.

Options come from the environment: QUICK=1 takes smaller inputs and ends within a minute; ONLY="memory load" runs
these parts alone and keeps the other rows of the last run; further ones are the benchmark's own.
"""

import argparse
import importlib
import os
import sys

BENCHMARKS = {name: f"benchmarks.{name}" for name in ("paths", "index", "server", "streams")}
NO = {"", "0", "no", "false"}


def main() -> None:
    """Run the benchmark that is named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=sorted(BENCHMARKS))
    name = parser.parse_args().name
    is_quick = os.environ.get("QUICK", "").lower() not in NO
    try:
        importlib.import_module(BENCHMARKS[name]).run(is_quick=is_quick, only=os.environ.get("ONLY", "").split())
    except KeyboardInterrupt:
        sys.exit("\nEnded early; the rows so far are kept.")


if __name__ == "__main__":
    main()
