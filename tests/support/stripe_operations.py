"""Which operation of Stripe's HTTP API a request is, read from the service classes of the installed wheel."""

import re
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import stripe

ROOT = Path(stripe.__file__).parent
METHOD = re.compile(
    r"    def (?P<name>\w+)\(\s*self,(?P<arguments>[^()]*)\) -> (?P<answer>[^:]+):\n"
    r'(?:(?!    def ).)*?self\._request\(\s*"(?P<verb>\w+)",\s*"(?P<path>/v1/[^"]+)"',
    re.DOTALL,
)
PARAMS = re.compile(r'params: (?:Optional\[)?"(\w+)"')
IMPORT = re.compile(r"from (stripe[\w.]*) import (?:\(\s*)?(\w+),?\s")
PLACEHOLDER = re.compile(r"\{\w+\}")


@dataclass(frozen=True)
class Operation:
    """`path` is a template; `params` the TypedDict of its parameters; `answer` e.g. `ListObject[Price]`."""

    name: str
    verb: str
    path: str
    pattern: re.Pattern[str]
    params: type | None
    answer: str
    answer_class: type
    params_required: bool

    @property
    def is_list(self) -> bool:
        return self.answer.startswith("ListObject[")


@cache
def sources() -> list[tuple[Path, str]]:
    """Every service module's text; the parameters of its operations are read only when one is asked for."""
    return [(path, path.read_text()) for path in sorted(ROOT.rglob("_*_service.py")) if "v2" not in path.parts]


@cache
def templates() -> list[tuple[str, re.Pattern[str], int]]:
    """(template, pattern, index into `sources`) of each path, those without a placeholder first."""
    result = {}
    for index, (_, text) in enumerate(sources()):
        for path in re.findall(r'"(/v1/[^"]+)"', text):
            result[path, index] = (path, pattern_of(path), index)
    return sorted(result.values(), key=lambda row: row[0].count("{"))


def pattern_of(template: str) -> re.Pattern[str]:
    return re.compile(PLACEHOLDER.sub("[^/]+", template))


@cache
def operations_in(index: int) -> tuple[Operation, ...]:
    path, text = sources()[index]
    homes = {name: module for module, name in IMPORT.findall(text)}
    return tuple(operation_from(match, homes, path.stem) for match in METHOD.finditer(text))


def operation_from(match: re.Match[str], homes: dict[str, str], module: str) -> Operation:
    params = PARAMS.search(match["arguments"])
    answer = match["answer"].strip('"')
    subject = re.sub(r"\w+\[\"?(\w+)\"?\]", r"\1", answer)
    return Operation(
        name=f"{module.strip('_').removesuffix('_service')}.{match['name']}",
        verb=match["verb"],
        path=match["path"],
        pattern=pattern_of(match["path"]),
        params=load(homes, params[1]) if params else None,
        answer=answer,
        answer_class=load(homes, subject),
        params_required=bool(params and "Optional" not in params[0]),
    )


def load(homes: dict[str, str], name: str) -> Any:
    return getattr(import_module(homes[name]), name)


def operation(verb: str, path: str) -> Operation | None:
    """The operation that answers `verb` on `path`, or None where the wheel knows of none."""
    for template, pattern, index in templates():
        if not pattern.fullmatch(path):
            continue
        for candidate in operations_in(index):
            if candidate.path == template and candidate.verb == verb:
                return candidate
    return None
