"""The texts that a person sends often, kept to be put into a message."""

from collections.abc import Iterable

from app.models.metering.refusal import InvalidRequest

MOST_PROMPTS = 50
LONGEST_PROMPT = 4_000


def checked_prompts(typed: Iterable[str]) -> list[str]:
    """What is kept of it: each once, trimmed, without the empty ones. InvalidRequest where it is too much."""
    trimmed = (text.replace("\r\n", "\n").replace("\x00", "").strip() for text in typed)
    prompts = list(dict.fromkeys(filter(None, trimmed)))
    if len(prompts) > MOST_PROMPTS:
        raise InvalidRequest({"prompt": [f"are more than {MOST_PROMPTS}. Delete one first."]})
    if any(len(prompt) > LONGEST_PROMPT for prompt in prompts):
        raise InvalidRequest({"prompt": [f"must have at most {LONGEST_PROMPT:,} characters each."]})
    return prompts
