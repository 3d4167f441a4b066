"""What is refused carries no text: `app/web/refusals.py` and `app/web/conflicts.py` have the sentence of each code."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from string import Formatter
from typing import NamedTuple

from app.web.conflicts import CONFLICTS
from app.web.refusals import FOR_GUESTS, REFUSALS

APP = Path(__file__).parents[1] / "app"
BY_A_LIMIT = {"guest_limit_reached"}
"""What the limiter names: `bounded_for_guests`."""

MAY_REFUSE = re.compile(r"\b(Refusal|SpendingLimit|Conflict|raise)\b")
DECISIONS = APP / "models/metering/gate_decision.py"


@cache
def nodes(file: Path) -> list[ast.AST]:
    """All of a module's code, where it refuses or raises anything."""
    text = file.read_text()
    return list(ast.walk(ast.parse(text))) if file == DECISIONS or MAY_REFUSE.search(text) else []


def codes_raised() -> Iterator[str]:
    for file in APP.rglob("*.py"):
        for node in nodes(file):
            match node:
                case ast.Call(func=ast.Name(id="Refusal" | "SpendingLimit"), args=[ast.Constant(value=str(code)), *_]):
                    yield code
    for node in nodes(DECISIONS):
        if isinstance(node, ast.Constant) and node.value in REFUSALS:
            yield node.value


def test_every_code_that_is_raised_has_a_sentence_and_no_other_has() -> None:
    assert set(codes_raised()) | BY_A_LIMIT == set(REFUSALS) >= set(FOR_GUESTS)


def conflicts_raised() -> Iterator[tuple[str, set[str]]]:
    """Each conflict that the code makes: its key in `CONFLICTS`, and what it hands to the sentence."""
    for file in APP.rglob("*.py"):
        for node in nodes(file):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Conflict":
                named = {keyword.arg: keyword.value for keyword in node.keywords}
                context, case = named.pop("context", None), named.pop("case", None)
                keys = context.keys if isinstance(context, ast.Dict) else []
                given = {ast.literal_eval(key) for key in keys if key} | {name for name in named if name}
                code = ast.literal_eval(node.args[0])
                yield f"{code}:{ast.literal_eval(case)}" if case else code, given


def test_every_conflict_has_a_sentence_of_what_it_hands_over_and_no_other_has() -> None:
    raised = list(conflicts_raised())
    assert {key for key, _ in raised} == set(CONFLICTS)
    for key, given in raised:
        assert {name for _, name, _, _ in Formatter().parse(CONFLICTS[key]) if name} <= given, key


EDGE = {"admin", "api", "auth", "billing", "chat", "documents", "gateway", "pages", "web"}
EDGE |= {"cli.py", "errors.py", "metrics.py"}
AT_A_FIELD = "InvalidRequest"
FOR_OPERATORS = re.compile(
    "BackupError|BadParameter|ClickException|ConfigurationError|Mismatch|NoData|NotReadable|NotTheirs|PricingError"
    "|PaymentsNotSetUp|UnknownOutcome|Forged|ProviderError|failure|HTTPException|Forbidden"
    "|Connect(Error|Timeout)|Read(Error|Timeout)|RemoteProtocolError|OperationalError|InvalidatePoolError"
    "|LookupError|NotImplementedError|RuntimeError|TypeError|ValueError"
)
"""What reaches a terminal, a log or the admin, or a provider's own words: no sentence of ours for customers."""


class Raised(NamedTuple):
    """What a module raises with a text of more than a word: `start` is where its first one begins."""

    file: str
    kind: str
    start: str


def texts_raised(file: Path) -> Iterator[Raised]:
    """Also where the text has a name, in the function or in the module."""
    named = {
        target.id: node.value
        for node in nodes(file)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in nodes(file):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            for text in texts_of(node.exc, named):
                yield Raised(str(file), ast.unparse(node.exc.func).rpartition(".")[2], text)
                break


def texts_of(node: ast.AST, named: dict[str, ast.expr]) -> Iterator[str]:
    """Depth first, as one reads."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value.strip():
        yield node.value
    if isinstance(node, ast.Name) and node.id in named:
        yield from texts_of(named[node.id], {})
    for child in ast.iter_child_nodes(node):
        yield from texts_of(child, named)


def raised_below_the_edge() -> list[Raised]:
    below = [file for file in APP.rglob("*.py") if file.relative_to(APP).parts[0] not in EDGE]
    assert len(below) > 200
    return [raised for file in below for raised in texts_raised(file)]


def test_no_module_below_the_edge_raises_a_sentence_for_customers() -> None:
    kinds = {raised.kind for raised in raised_below_the_edge()}
    assert {kind for kind in kinds if not FOR_OPERATORS.fullmatch(kind)} == {AT_A_FIELD}


def test_a_fields_error_goes_on_from_the_fields_name() -> None:
    """`content: is longer than ...`: the form puts it below the field, the API beside its name."""
    texts = [raised for raised in raised_below_the_edge() if raised.kind == AT_A_FIELD]
    assert [raised for raised in texts if raised.start[:1].isupper()] == []
