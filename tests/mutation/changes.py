"""Every single change that can be made to a module: another operator, another number, a line left out."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass

COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
COMPUTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
NAMES = {"min": "max", "max": "min"}


@dataclass(frozen=True)
class Change:
    """One mutant: which way of which place of the module is taken."""

    module: str
    place: int
    way: int
    function: str
    begins: int
    line: int

    def made(self, source: str) -> tuple[ast.Module, str, str]:
        """The whole module with it; what stood there, and what stands there now."""
        tree = ast.parse(source)
        _, node = places(tree)[self.place]
        before = one_line(ast.unparse(node))
        list(ways(node))[self.way]()
        return ast.fix_missing_locations(tree), before, one_line(ast.unparse(node))


def changes_of(module: str, source: str) -> Iterator[Change]:
    """All of them, in functions only: what tables look like is the migrations' test."""
    for place, (function, node) in enumerate(places(ast.parse(source))):
        for way, _ in enumerate(ways(node)):
            yield Change(module, place, way, function.name, begins(function), node.lineno)


def places(tree: ast.Module) -> list[tuple[ast.FunctionDef, ast.expr | ast.stmt]]:
    return [(function, node) for function in functions(tree) for node in statements_and_inner(function)]


def begins(function: ast.FunctionDef) -> int:
    """Its first line as a code object has it."""
    return min([function.lineno, *(decorator.lineno for decorator in function.decorator_list)])


def functions(tree: ast.Module) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


def statements_and_inner(function: ast.FunctionDef) -> list[ast.expr | ast.stmt]:
    """The nodes of its body that can be changed; not its decorators, its annotations, its docstring, its messages."""
    result = [node for statement in function.body for node in ast.walk(statement)]
    notes = [node.annotation for node in result if isinstance(node, ast.AnnAssign)]
    unread = {id(inner) for note in notes for inner in ast.walk(note)}
    result = [node for node in result if id(node) not in unread]
    return [
        node for node in result if isinstance(node, ast.expr | ast.stmt) and any(True for _ in ways(node))
    ]


def ways(node: ast.AST) -> Iterator[Callable[[], None]]:
    """What can be done to this node, each as something to call."""
    if isinstance(node, ast.Compare) and type(node.ops[0]) in COMPARED:
        yield lambda: node.ops.__setitem__(0, COMPARED[type(node.ops[0])]())
    if isinstance(node, ast.BinOp | ast.AugAssign) and type(node.op) in COMPUTED and not is_text(node):
        yield lambda: setattr(node, "op", COMPUTED[type(node.op)]())
    if isinstance(node, ast.BoolOp):
        yield lambda: setattr(node, "op", ast.And() if isinstance(node.op, ast.Or) else ast.Or())
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        yield lambda: setattr(
            node, "value", not node.value if isinstance(node.value, bool) else node.value + 1
        )
    if isinstance(node, ast.Name) and node.id in NAMES:
        yield lambda: setattr(node, "id", NAMES[node.id])
    if isinstance(node, ast.If | ast.IfExp):
        yield lambda: setattr(node, "test", ast.UnaryOp(ast.Not(), node.test))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield lambda: setattr(node, "op", ast.UAdd())
    if is_effect(node):
        yield lambda: setattr(node, "value", ast.Constant(None))


def is_text(node: ast.BinOp | ast.AugAssign) -> bool:
    """Whether words are put together: no figure."""
    right = node.right if isinstance(node, ast.BinOp) else node.value
    return any(isinstance(one, ast.JoinedStr) or is_words(one) for one in ast.walk(right))


def is_words(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def is_effect(node: ast.AST) -> bool:
    """A call for its effect: left out, it is a line that was forgotten."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)


def one_line(code: str) -> str:
    return " ".join(code.split()).replace("|", "\\|")[:110]
