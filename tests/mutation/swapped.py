"""A changed function in the place of the one that is loaded: nothing is imported anew."""

from __future__ import annotations

import ast
import gc
from collections import defaultdict
from collections.abc import Iterator
from types import CodeType, FunctionType

from tests.mutation.entered import Place


class Loaded:
    """The functions of some files that this process has, by where they begin."""

    def __init__(self, files: set[str]) -> None:
        self.functions: dict[Place, list[FunctionType]] = defaultdict(list)
        for one in gc.get_objects():
            if isinstance(one, FunctionType) and one.__code__.co_filename in files:
                self.functions[place_of(one.__code__)].append(one)

    def swap(self, tree: ast.Module, file: str) -> None:
        """Give each loaded function of `file` the code that it has in `tree`."""
        for code in codes_in(compile(tree, file, "exec")):
            for function in self.functions.get(place_of(code), ()):
                if function.__code__.co_freevars == code.co_freevars:
                    function.__code__ = code


def place_of(code: CodeType) -> Place:
    return code.co_filename, code.co_firstlineno


def codes_in(code: CodeType) -> Iterator[CodeType]:
    """Every function's code in that of a module."""
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from codes_in(constant)
