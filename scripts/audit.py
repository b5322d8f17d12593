"""Looks every pinned dependency up in the advisories of known vulnerabilities: ``python scripts/audit.py FILE``.

Exit status: 0 if everything was looked up and nothing is known, 1 if something is known, 2 if not everything could
be looked up. That nothing was found where nothing was asked shall not pass for good news.
"""

import json
import subprocess
import sys
from typing import Any

CLEAN, VULNERABLE, NOT_AUDITED = 0, 1, 2


def audit(requirements: str) -> int:
    """Run pip-audit over pinned requirements with hashes, and say what it found; return the exit status."""
    command = [
        sys.executable,
        "-m",
        "pip_audit",
        "--requirement",
        requirements,
        "--disable-pip",
        "--require-hashes",
    ]
    done = subprocess.run(
        [*command, "--format", "json", "--progress-spinner", "off"], capture_output=True, text=True, check=False
    )
    try:
        report = json.loads(done.stdout)
    except json.JSONDecodeError:
        # It gives in at the first source that does not answer, with its reason in the last line.
        last = (done.stderr.strip().splitlines() or ["no reason was given"])[-1]
        sys.stdout.write(f"NOT AUDITED: no source of advisories answers: {last[:300]}\n")
        return NOT_AUDITED
    text, status = verdict(report["dependencies"])
    sys.stdout.write(text)
    return status


def verdict(dependencies: list[dict[str, Any]]) -> tuple[str, int]:
    """Return what is to be said of pip-audit's findings, and the exit status."""
    skipped = [entry for entry in dependencies if "skip_reason" in entry]
    audited = [entry for entry in dependencies if "skip_reason" not in entry]
    lines = [
        f"{entry['name']} {entry['version']}: {', '.join([found['id'], *found.get('aliases', [])])}"
        + (f", mended in {', '.join(found['fix_versions'])}" if found.get("fix_versions") else "")
        for entry in audited
        for found in entry["vulns"]
    ]
    status = VULNERABLE if lines else CLEAN
    if not audited:
        lines.append(
            "NOT AUDITED: no source of advisories knows any of the packages; most likely none is in reach."
        )
        status = NOT_AUDITED
    elif skipped:
        names = ", ".join(entry["name"] for entry in skipped)
        lines.append(f"NOT AUDITED: {len(skipped)} of {len(dependencies)} packages are not known there: {names}")
        status = status or NOT_AUDITED
    if status == CLEAN:
        lines.append(f"No vulnerability is known in {len(audited)} pinned packages.")
    return "\n".join(lines) + "\n", status


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} REQUIREMENTS")
    sys.exit(audit(sys.argv[1]))
