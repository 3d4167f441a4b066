"""`make audit`: what production installs, by age and by known holes. It asks nobody, and says what it could not see.

A pin's age is that of its line in git: since when we have had this version. OSV_DATA names OSV's export for PyPI, a
zip of JSON files: https://osv-vulnerabilities.storage.googleapis.com/PyPI/all.zip
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LOCK = Path("requirements.txt")
OLDEST_DAYS = 183
PIN = re.compile(r"^([\w.-]+)(?:\[[\w,]+\])?==([^\s;]+)", re.MULTILINE)
BLAMED = re.compile(r"^committer-time (\d+)$.*?^\t([^\n]*)$", re.MULTILINE | re.DOTALL)


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(text: str) -> dict[str, str]:
    return {normal(name): version for name, version in PIN.findall(text)}


def old_pins() -> Iterator[str]:
    command = ["git", "blame", "--line-porcelain", str(LOCK)]
    blamed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for committed, line in BLAMED.findall(blamed):
        days = int((time.time() - int(committed)) / 86400)
        if PIN.match(line) and days > OLDEST_DAYS:
            yield f"{line.split()[0]} has been here for {days} days"


def holes(export: Path, pinned: dict[str, str]) -> Iterator[str]:
    """Known holes of exactly these versions that are not withdrawn."""
    with zipfile.ZipFile(export) as entries:
        for name in entries.namelist():
            entry = json.loads(entries.read(name))
            for package in [] if entry.get("withdrawn") else affected(entry, pinned):
                yield f"{package} {pinned[package]}: {entry['id']} {entry.get('summary', '')}".rstrip()


def affected(entry: dict[str, Any], pinned: dict[str, str]) -> set[str]:
    names = [(normal(one["package"]["name"]), one.get("versions", [])) for one in entry.get("affected", [])]
    return {name for name, versions in names if pinned.get(name) in versions}


def main() -> None:
    pinned, export = pins(LOCK.read_text()), os.environ.get("OSV_DATA", "")
    told = list(old_pins())
    if export:
        told += sorted(holes(Path(export), pinned))
    else:
        sys.stdout.write("Known holes were not looked for: OSV_DATA names no export.\n")
    sys.stdout.write(
        "".join(f"{line}\n" for line in [*told, f"{len(pinned)} packages, {len(told)} findings"])
    )
    sys.exit(bool(told))


if __name__ == "__main__":
    main()
