"""Packages that few requests need, imported by the first that does: a web process is a tenth smaller without them.

For other people's packages only: what is of the app is imported as usual, where the contracts see it.
"""

from importlib import import_module
from typing import Any


class LazyImport:
    """Stands for a module: `docx = LazyImport("docx")`."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(import_module(self.name), attribute)
