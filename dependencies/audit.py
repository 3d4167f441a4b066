"""`make audit`: what production installs, by age and by known holes. It asks nobody, and says what it had to go by.

A pin's age is that of its line in git: since when we have had this version. OSV_DATA names advisories in OSV's format
(https://ossf.github.io/osv-schema/): a zip or a folder of JSON files, or one such file; docs/security.md says more.
"""

import json
import os
import re
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from packaging.version import InvalidVersion, Version

LOCK = Path("requirements.txt")
OLDEST_DAYS = 183
PIN = re.compile(r"^([\w.-]+)(?:\[[\w,]+\])?==([^\s;]+)", re.MULTILINE)
BLAMED = re.compile(r"^committer-time (\d+)$.*?^\t([^\n]*)$", re.MULTILINE | re.DOTALL)
Entry = dict[str, Any]


class Unreadable(Exception):
    """OSV_DATA is none of what it may be; the message says why."""


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


@dataclass
class Advisories:
    """What was read of OSV_DATA, and what it says about our pins."""

    pinned: dict[str, str]
    count: int = 0
    newest: str = ""
    named: set[str] = field(default_factory=set)
    holes: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, where: Path, pinned: dict[str, str]) -> "Advisories":
        """Unreadable where there is nothing there, or it is no advisory."""
        advisories = cls(pinned)
        for name, text in texts(where):
            try:
                advisories.take(json.loads(text))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise Unreadable(f"{where}: {name} is no advisory in OSV's format ({error}).") from error
        if not advisories.count:
            raise Unreadable(f"{where} holds no advisory for PyPI.")
        advisories.holes.sort()
        return advisories

    def take(self, entry: Entry) -> None:
        of_pypi = [one for one in entry.get("affected", []) if one["package"]["ecosystem"] == "PyPI"]
        self.count += bool(of_pypi)
        self.newest = max(self.newest, entry["modified"])
        for one in of_pypi:
            name = normal(one["package"]["name"])
            if name not in self.pinned:
                continue
            self.named.add(name)
            hole = f"{name} {self.pinned[name]}: {entry['id']} {entry.get('summary', '')}".rstrip()
            if not entry.get("withdrawn") and hole not in self.holes and is_affected(one, self.pinned[name]):
                self.holes.append(hole)

    @property
    def summary(self) -> str:
        """What there was to go by. A package that no advisory names has none, or was left out by who made the data."""
        rest = sorted(set(self.pinned) - self.named)
        told = f"{self.count} advisories for PyPI, the newest of {self.newest[:10]}."
        return f"{told} They name {len(self.named)} of our packages; none names: {', '.join(rest) or 'nothing'}."


def texts(where: Path) -> Iterator[tuple[str, str | bytes]]:
    """Name and content of each JSON file there."""
    if where.is_dir():
        yield from ((path.name, path.read_bytes()) for path in sorted(where.rglob("*.json")))
    elif zipfile.is_zipfile(where):
        with zipfile.ZipFile(where) as file:
            yield from ((name, file.read(name)) for name in file.namelist() if name.endswith(".json"))
    elif where.is_file():
        yield where.name, where.read_bytes()
    else:
        raise Unreadable(f"There is nothing at {where}.")


def is_affected(one: Entry, version: str) -> bool:
    """By the list of versions, else by the ranges: from each `introduced` on, until `fixed` or `last_affected`."""
    ranges = [spread for spread in one.get("ranges", []) if spread["type"] == "ECOSYSTEM"]
    return version in one.get("versions", []) or any(covers(spread["events"], version) for spread in ranges)


def covers(events: Iterable[dict[str, str]], version: str) -> bool:
    try:
        ours, steps = Version(version), [next(iter(event.items())) for event in events]
        moments = sorted((Version("0") if at == "0" else Version(at), kind) for kind, at in steps)
    except InvalidVersion:
        return False
    is_in = False
    for at, kind in moments:
        if ours > at or (ours == at and kind != "last_affected"):
            is_in = kind == "introduced"
    return is_in


def main() -> None:
    pinned, where = pins(LOCK.read_text()), os.environ.get("OSV_DATA", "")
    told = list(old_pins())
    basis = "Known vulnerabilities were not checked: OSV_DATA names no advisories (docs/security.md)."
    if where:
        try:
            advisories = Advisories.read(Path(where), pinned)
        except (Unreadable, OSError, zipfile.BadZipFile) as error:
            sys.exit(f"OSV_DATA: {error}")
        told, basis = told + advisories.holes, advisories.summary
    lines = [basis, *told, f"{len(pinned)} packages, {len(told)} findings"]
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.exit(bool(told))


if __name__ == "__main__":
    main()
