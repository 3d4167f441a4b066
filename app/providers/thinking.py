"""Thinking that a model writes into its text, where its server has no parser for it: `<think>…</think>` first."""

import re

TAGS = ("think", "thinking", "thought", "reasoning", "seed:think", "mm:think")
PAIRS = (
    *((f"<{tag}>", f"</{tag}>") for tag in TAGS),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|channel>thought", "<channel|>"),
    ("<|channel|>analysis<|message|>", "<|start|>assistant<|channel|>final<|message|>"),
)
"""How families of models mark it: most, Seed, MiniMax, Mistral, Kimi, Command, Gemma, gpt-oss."""

CLOSINGS = {opening.lower(): re.compile(re.escape(closing), re.IGNORECASE) for opening, closing in PAIRS}
OPENED = re.compile(rf"\s*({'|'.join(re.escape(opening) for opening, _ in PAIRS)})", re.IGNORECASE)
BARE_END = re.compile(r"(?:\A|\n)[ \t]*</think>[ \t]*(?:\n|\Z)", re.IGNORECASE)
LONGEST_TAG = max(len(opening) for opening, _ in PAIRS)


def split_thinking(text: str) -> tuple[str, str]:
    """The thinking that a text begins with, and what is left for the reader.

    An end without a beginning counts too: some templates write the beginning into the prompt.
    """
    opened = OPENED.match(text)
    if opened:
        end = CLOSINGS[opened[1].lower()].search(text, opened.end())
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
    return any(opening.startswith(begun) and opening != begun for opening in CLOSINGS)
