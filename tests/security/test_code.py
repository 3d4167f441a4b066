"""What the code may not hold: pickled jobs, templates made of words, markup that nobody cleaned. security.md 22."""

import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
CODE = [path for folder in ("app", "sandbox", "devserver", "dependencies") for path in (PROJECT / folder).rglob("*.py")]
TEMPLATES = [*(PROJECT / "app" / "templates").rglob("*"), *(PROJECT / "sandbox" / "templates").rglob("*")]


def found_in(paths: list[Path], pattern: str) -> set[str]:
    files = [path for path in paths if path.is_file()]
    return {path.name for path in files if re.search(pattern, path.read_text())}


@pytest.mark.parametrize(
    ("pattern", "allowed"),
    [
        (r"render_template_string|jinja2\.Template\(|\.from_string\(", set()),
        (r"\b(text|execute)\(\s*f[\"']", {"engine.py"}),
        (r"\bpickle\b|\bmarshal\b|\beval\(|\bexec\(|yaml\.load\(", set()),
        (r"compare_digest\((?!.*\.encode\(.*\.encode\()", set()),
        (r"(?<!JSON)(?<!URLSafe)Serializer\b(?!s)", {"jobs.py", "worker.py", "job_queue.py"}),
    ],
)
def test_no_code_holds_it(pattern: str, allowed: set[str]) -> None:
    """`db/engine.py` names pragmas of its own."""
    assert found_in(CODE, pattern) <= allowed


def test_only_the_sanitised_is_safe() -> None:
    """Markup is made in few places, each of which cleans or escapes what it takes."""
    assert found_in(CODE, r"\bMarkup\(") <= {"formatting.py", "cell_formats.py", "two_factor.py"}
    assert found_in(TEMPLATES, r"\|\s*safe\b|autoescape false") == set()


def test_each_promise_names_tests_that_are_there() -> None:
    rows = re.findall(r"^\| (\d+) \|.*\| ([^|]+) \|$", (PROJECT / "docs" / "security.md").read_text(), re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, 26))
    named = {name for _, names in rows for name in re.findall(r"`([^`]+)`", names)}
    assert {name for name in named if not (PROJECT / "tests" / name).is_file()} == set()
