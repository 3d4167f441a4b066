"""Thinking that a model writes into its text, where its server has no parser for it: `<think>…</think>` first."""

from __future__ import annotations

import re

OPENED = re.compile(r"\s*(?:<(think|thinking|thought)>|(\[THINK\]))", re.IGNORECASE)
BARE_END = re.compile(r"(?:\A|\n)[ \t]*</think>[ \t]*(?:\n|\Z)", re.IGNORECASE)
LONGEST_TAG = 12


def split_thinking(text: str) -> tuple[str, str]:
    """The thinking that a text begins with, and what is left for the reader.

    An end without a beginning counts too: some templates write the beginning into the prompt.
    """
    opened = OPENED.match(text)
    if opened:
        end = re.compile(rf"</{opened[1]}>" if opened[1] else r"\[/THINK\]", re.IGNORECASE).search(
            text, opened.end()
        )
        thinking = text[opened.end() : end.start() if end else len(text)]
        return thinking.strip(), text[end.end() :].lstrip() if end else ""
    if "</" in text and (end := BARE_END.search(text)) and "<think>" not in text:
        return text[: end.start()].strip(), text[end.end() :].lstrip()
    return "", text


def without_thinking(text: str) -> str:
    return split_thinking(text)[1]


def may_be_opening(text: str) -> bool:
    """Whether the text so far may be the beginning of a tag of which the rest is still to come."""
    begun = text.lstrip()[:LONGEST_TAG].lower()
    return any(tag.startswith(begun) for tag in ("<think>", "<thinking>", "<thought>", "[think]"))
