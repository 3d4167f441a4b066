"""Run the tests of every client and server, or of those that are named."""

import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
MODULES = {path.stem: path for path in sorted(FOLDER.glob("[a-z]*.py")) if path.stem not in ("conftest", "tools")}


def main() -> int:
    names = sys.argv[1:] or list(MODULES)
    if unknown := [name for name in names if name not in MODULES]:
        print(f"no such module: {', '.join(unknown)}; there are {', '.join(MODULES)}", file=sys.stderr)  # noqa: T201
        return 2
    paths = [str(MODULES[name]) for name in names]
    return int(pytest.main(["-v", "-rs", "--timeout", "900", *paths]))


if __name__ == "__main__":
    sys.exit(main())
