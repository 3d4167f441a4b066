"""OWASP ASVS 5.0, level 2, in docs/security.md: no line is missing, and what is met names tests that are there."""

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from dependencies.audit import LOCK, Advisories, main, pins

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
        assert (verdict == "met") == bool([name for name in tests if (PROJECT / "tests" / name).is_file()]), written
        assert all((PROJECT / "tests" / name).is_file() for name in tests if verdict == "met"), written


PINNED = {"flask-login": "0.6.3", "jinja2": "3.1.6"}


def advisory(number: int, name: str = "Flask_Login", **changes: Any) -> dict[str, Any]:
    """A made-up one."""
    package = {"ecosystem": changes.pop("ecosystem", "PyPI"), "name": name}
    top = {key: changes.pop(key) for key in ("withdrawn", "summary") if key in changes}
    return {
        "id": f"OSV-{number}",
        "modified": f"2026-01-{number:02}T00:00:00Z",
        "affected": [{"package": package} | changes],
    } | top


def between(*events: tuple[str, str]) -> list[dict[str, Any]]:
    return [{"type": "ECOSYSTEM", "events": [{kind: at} for kind, at in events]}]


ADVISORIES = {
    1: {"versions": ["0.1", "0.6.3"], "summary": "made up"},
    2: {"versions": ["0.6.3"], "withdrawn": "2026-01-01T00:00:00Z"},
    3: {"versions": ["0.1"]},
    4: {"versions": ["0.6.3"], "name": "another"},
    5: {"versions": ["0.6.3"], "ecosystem": "npm"},
    6: {"ranges": between(("introduced", "0"), ("fixed", "0.6.3"))},
    7: {"ranges": between(("introduced", "0.6"), ("fixed", "0.7"))},
    8: {"ranges": between(("introduced", "0.6.3"), ("last_affected", "0.6.3"))},
    9: {"ranges": between(("introduced", "0"), ("fixed", "0.5"), ("introduced", "0.6.10"))},
}
OURS = ["flask-login 0.6.3: OSV-1 made up", "flask-login 0.6.3: OSV-7", "flask-login 0.6.3: OSV-8"]


@pytest.fixture(params=["zip", "folder"])
def data(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A small set of advisories, in either form."""
    where = tmp_path / "osv"
    where.mkdir()
    for number, changes in ADVISORIES.items():
        (where / f"OSV-{number}.json").write_text(json.dumps(advisory(number, **changes)))
    if request.param == "folder":
        return where
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as file:
        for path in where.iterdir():
            file.write(path, path.name)
    return tmp_path / "all.zip"


def test_the_audit_of_packages_knows_holes_of_exactly_our_versions(data: Path) -> None:
    advisories = Advisories.read(data, PINNED)
    assert advisories.holes == OURS
    assert advisories.summary == (
        "8 advisories for PyPI, the newest of 2026-01-09. They name 1 of our packages; none names: jinja2."
    )


NO_ADVISORIES = ("[]", "{}", "no JSON", '{"id": "OSV-1", "modified": "2026-01-01", "affected": [{}]}')


def test_an_audit_without_advisories_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody takes it for a clean one."""
    monkeypatch.chdir(PROJECT)
    for content in NO_ADVISORIES:
        (tmp_path / "one.json").write_text(content)
        monkeypatch.setenv("OSV_DATA", str(tmp_path / "one.json"))
        with pytest.raises(SystemExit, match=r"one\.json"):
            main()
    monkeypatch.setenv("OSV_DATA", "")
    with pytest.raises(SystemExit):
        main()
    assert "were not checked" in capsys.readouterr().out
    command, nowhere = [sys.executable, "-m", "dependencies.audit"], {"OSV_DATA": str(tmp_path / "nothing")}
    done = subprocess.run(command, env=os.environ | nowhere, capture_output=True, text=True, check=False)
    assert (done.returncode, "There is nothing at" in done.stderr, "Traceback" in done.stderr) == (1, True, False)


def test_the_audit_reads_our_own_pins() -> None:
    assert len(pins((PROJECT / LOCK).read_text())) > 50
