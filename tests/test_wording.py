"""Texts for people use the terms of docs/wording.md, and none of the phrases that were retired."""

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RETIRED = (
    r"back office",
    r"[Aa]utomatic recharge",
    r"[Tt]opping up",
    r"are paid back",
    r"were paid",
    r"goes on as",
    r"It rests|rests until|plan rests",
    r"Mend the",
    r"at the moment\.",
    r"look into your mail",
    r"do not belong together",
    r"did not work out",
    r"To the start",
    r"on their own",
    r"starts? anew",
    r"in the same measure",
    r"counted here",
    r"so many a",
    r"that way out",
    r"not a file of yours",
    r"somebody, most likely you",
    r"Present password",
    r"is dead",
    r"Wrong way in",
    r"A little slower",
    r"by the year",
    r"The credits are used up",
    r"Make a key",
    r"Switch it o(n|ff)",
    r"Take back",
    r"\bcrew\b",
    r"[Pp]ut up an",
    r"in these days",
    r"[Bb]ought ones",
    r"dearest chat",
    r"is mended",
    r"any more\b",
    r"[Ww]hoever has them",
    r"[Oo]ne to a line",
    r"[Nn]one marked",
    r"where one was",
    r"that one set for",
    r"say otherwise",
    r"Look and resume",
    r"these hours'",
    r"[Yy]ou keep credits",
    r"has another price",
    r"fields that are marked",
    r"made anew|for anew",
    r"paid back",
    r"Really\?",
    r"asks for you\b",
    r"\bMend\b",
    r"dearer",
    r"broke off",
    r"by themselves",
    r"taken over",
    r"in the place of",
    r"is none of\b",
    r"\b[Aa]dministrators?\b",
)
SHOWN = re.compile(r"^app/(templates/|static/js/)")
TEXT = re.compile(r'"([^"\n]*[A-Za-z]{3,} [^"\n]*)"')


@cache
def texts() -> list[tuple[str, str]]:
    """What people may read: whole templates and scripts, the README, and the sentences in code."""
    listed = subprocess.run(
        ["git", "ls-files", "app", "README.md"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    hits = []
    for name in listed.stdout.split():
        if name == "README.md" or SHOWN.match(name):
            hits.append((name, re.sub(r"\{#.*?#\}|/\*.*?\*/", "", (ROOT / name).read_text(), flags=re.S)))
        elif name.endswith(".py"):
            code = re.sub(r'""".*?"""', "", (ROOT / name).read_text(), flags=re.S)
            hits.append((name, "\n".join(TEXT.findall(code))))
    return hits


@pytest.mark.parametrize("phrase", RETIRED)
def test_no_text_has_a_retired_phrase(phrase: str) -> None:
    assert [(name, hit) for name, text in texts() for hit in re.findall(f"(?:{phrase}).{{0,40}}", text)] == []


def test_every_retired_phrase_is_found_where_it_stands() -> None:
    assert all(
        re.search(phrase, sample) for phrase, sample in [(RETIRED[0], "the back office"), (RETIRED[5], "It goes on as")]
    )
