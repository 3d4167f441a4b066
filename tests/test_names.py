"""What the tree promises a stranger: rule books that exist, the field's words, engines that know no request."""

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from rq.utils import import_attribute

from app.jobs import JobName

PROJECT = Path(__file__).resolve().parents[1]
TRACKED = subprocess.run(["git", "ls-files"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout.split()
TEXTS = [path for path in TRACKED if path.endswith((".py", ".html", ".js", ".css", ".md", ".toml"))]
CODE = [path for path in TRACKED if path.endswith(".py") and not path.startswith("migrations/")]
ENGINES = ("app/models/", "app/generation/", "app/payments/", "app/stripe_api/", "app/catalog/")
RETIRED = {
    "found", "words", "facts", "wish", "standing", "caller", "ring", "bell", "ticket", "till", "desk",
    "Standing", "Caller", "Turn", "Ask", "Said", "Wish", "Sighting", "Record", "Prepared", "Till", "Desk",
}  # fmt: skip
OF_A_REQUEST = {"request", "session", "url_for", "render_template", "redirect", "flash", "abort"}


def names_in(path: str) -> set[str]:
    """Every name that the code of a file gives to something."""
    named = set()
    for node in ast.walk(ast.parse((PROJECT / path).read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            named.add(node.name)
        elif isinstance(node, ast.arg):
            named.add(node.arg)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            named.add(node.id)
    return named


def test_every_document_that_is_cited_is_there() -> None:
    cited = {
        (path, document)
        for path in TEXTS
        for document in re.findall(r"\b[\w/-]+\.md\b", (PROJECT / path).read_text())
        if not document.startswith(("export", "chat", "hello", "ferry"))
    }
    missing = {
        (path, document)
        for path, document in cited
        if not (PROJECT / document).is_file()
        and not (PROJECT / path).with_name(document.rpartition("/")[2]).is_file()
        and not any(one.endswith(f"/{document.rpartition('/')[2]}") for one in TRACKED)
    }
    assert missing == set()


def test_every_module_that_is_cited_by_its_path_is_there() -> None:
    whole = re.compile(r"(?<![\w/])(?:app|tests|devserver|sandbox|bench|migrations)/[\w/]+\.py\b")
    cited = {(path, module) for path in TEXTS for module in whole.findall((PROJECT / path).read_text())}
    assert {(path, module) for path, module in cited if not (PROJECT / module).is_file()} == set()


def test_no_retired_word_names_anything() -> None:
    one = rf"\b({'|'.join(RETIRED)})\b"
    retired = re.compile(rf"\b(def|class|as)\s+{one}|{one}\s*([-+*/%|&^@]?=|[:,)\]]|in\b)")
    suspects = [path for path in CODE if retired.search((PROJECT / path).read_text())]
    named = {path: names_in(path) & RETIRED for path in suspects if path != "tests/test_names.py"}
    assert {path: names for path, names in named.items() if names} == {}


def test_an_engine_knows_no_request() -> None:
    imports = re.compile(r"^\s*from flask import (?:\(([^)]*)\)|(.*))$", re.MULTILINE)
    for path in CODE:
        if path.startswith(ENGINES):
            imported = " ".join(map("".join, imports.findall((PROJECT / path).read_text())))
            assert set(re.findall(r"\w+", imported)) & OF_A_REQUEST == set(), path


def test_the_picture_of_the_layers_is_the_contract() -> None:
    contracts = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    picture = (PROJECT / "docs" / "architecture.md").read_text()
    drawn = re.findall(r"^    (\w+(?: \| \w+)*)(?:  .*)?$", picture.partition("## Layers")[2], re.MULTILINE)
    assert drawn[: len(layers)] == layers


@pytest.mark.parametrize("job", JobName)
def test_every_job_is_a_function(job: JobName) -> None:
    assert callable(import_attribute(str(job)))
