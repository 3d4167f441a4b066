"""Markdown that attacks the page: one attack between two lines of five equals signs."""

from pathlib import Path

SEPARATOR = "\n=====\n"


def attacks() -> list[str]:
    files = sorted(Path(__file__).parent.glob("*.md"))
    return [attack for file in files for attack in file.read_bytes().decode().removesuffix("\n").split(SEPARATOR)]
