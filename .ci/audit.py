"""Known vulnerabilities among the installed packages, from pip-audit's JSON on stdin.

pip-audit calls packages that its source does not know "not vulnerable", also where the
source does not answer at all. So this says how many were really looked up.
"""

from __future__ import annotations

import json
import sys
from typing import Any


def report(dependencies: list[dict[str, Any]]) -> tuple[str, int]:
    """The text to print and the exit status: 1 if there is a vulnerability."""
    looked_up = [each for each in dependencies if "skip_reason" not in each]
    lines = [
        f"{each['name']} {each['version']}: {vulnerability['id']}, mended in "
        f"{', '.join(vulnerability['fix_versions']) or 'no version'}"
        for each in looked_up
        for vulnerability in each["vulns"]
    ]
    if not looked_up:
        return "The source of advisories does not answer: nothing was audited.", 0
    count = f"{len(looked_up)} of {len(dependencies)} packages audited"
    return "\n".join([*lines, f"{count}, {len(lines)} vulnerabilities."]), bool(lines)


def main() -> int:
    """Print the report of what stands on stdin."""
    try:
        dependencies = json.load(sys.stdin)["dependencies"]
    except ValueError:  # pip-audit gave up before it wrote any
        dependencies = []
    text, status = report(dependencies)
    print(text)  # noqa: T201
    return status


if __name__ == "__main__":
    sys.exit(main())
