"""OWASP ASVS 5.0, level 2, in docs/security.md: no line is missing, and what is met names tests that are there."""

import json
import re
import zipfile
from pathlib import Path

from devserver.audit import LOCK, holes, pins

PROJECT = Path(__file__).resolve().parents[2]
LEVEL_2 = """
1.1.1-2 1.2.1-9 1.3.1-11 1.4.1-3 1.5.1-2 2.1.1-3 2.2.1-3 2.3.1-4 2.4.1 3.2.1-2 3.3.1-4 3.4.1-6 3.5.1-5 3.7.1-2
4.1.1-3 4.2.1 4.3.1-2 4.4.1-4 5.1.1 5.2.1-3 5.3.1-2 5.4.1-3 6.1.1-3 6.2.1-12 6.3.1-4 6.4.1-4 6.5.1-5 6.6.1-3
6.8.1-4 7.1.1-3 7.2.1-4 7.3.1-2 7.4.1-5 7.5.1-2 7.6.1-2 8.1.1-2 8.2.1-3 8.3.1 8.4.1 9.1.1-3 9.2.1-4 10.1.1-2
10.2.1-2 10.3.1-4 10.4.1-11 10.5.1-5 10.6.1-2 10.7.1-3 11.1.1-2 11.2.1-3 11.3.1-3 11.4.1-4 11.5.1 11.6.1 12.1.1-3
12.2.1-2 12.3.1-4 13.1.1 13.2.1-5 13.3.1-2 13.4.1-5 14.1.1-2 14.2.1-4 14.3.1-3 15.1.1-3 15.2.1-3 15.3.1-7 16.1.1
16.2.1-5 16.3.1-4 16.4.1-3 16.5.1-3 17.1.1 17.2.1-4 17.3.1-2
"""
"""The numbers of the requirements of levels 1 and 2, in version 5.0.0."""

ROW = re.compile(r"^\| ([\d.]+(?:-\d+)?) \| (.+) \| (met|n/a|not met) \| (.+) \|$", re.MULTILINE)


def numbers(written: str) -> list[str]:
    """ "1.2.1-3" is three."""
    first, _, last = written.partition("-")
    section, _, number = first.rpartition(".")
    return [f"{section}.{one}" for one in range(int(number), int(last or number) + 1)]


def test_each_requirement_is_met_by_a_test_or_has_its_reason() -> None:
    rows = ROW.findall((PROJECT / "docs" / "security.md").read_text())
    listed = [one for written, _, _, _ in rows for one in numbers(written)]
    assert listed == [one for written in LEVEL_2.split() for one in numbers(written)]
    for written, _, verdict, reason in rows:
        tests = re.findall(r"`([^`]+\.py)`", reason)
        assert (verdict == "met") == bool([name for name in tests if (PROJECT / "tests" / name).is_file()]), (
            written
        )
        assert all((PROJECT / "tests" / name).is_file() for name in tests if verdict == "met"), written


def test_the_audit_of_packages_knows_a_hole_of_exactly_our_version(tmp_path: Path) -> None:
    pinned = pins((PROJECT / LOCK).read_text())
    assert len(pinned) > 50
    export = tmp_path / "all.zip"
    ours = {"package": {"name": "Flask_Login"}, "versions": ["0.1", pinned["flask-login"]]}
    entries = [
        {"id": "OSV-1", "affected": [ours]},
        {"id": "OSV-2", "affected": [ours], "withdrawn": "2026-01-01T00:00:00Z"},
        {"id": "OSV-3", "affected": [ours | {"versions": ["0.1"]}]},
        {"id": "OSV-4", "affected": [ours | {"package": {"name": "another"}}]},
    ]
    with zipfile.ZipFile(export, "w") as file:
        for entry in entries:
            file.writestr(f"{entry['id']}.json", json.dumps(entry))
    assert list(holes(export, pinned)) == [f"flask-login {pinned['flask-login']}: OSV-1"]
