"""Learns from a settled call the name of the limit its model reads, and how much its host adds to a prompt."""

import logging

from sqlalchemy import or_, update

from app.extensions import db
from app.models.catalog.ai_model import AIModel
from app.providers.base import Prompt, TokenUsage, is_above_limit

log = logging.getLogger(__name__)
BOTH = "both"
LARGEST_SHARE = 4
COUNTED_ABOVE = 2
"""How far our own count must be above what was asked for before it teaches anything."""


def learn(name: str, prompt: Prompt, usage: TokenUsage) -> None:
    """Keep with the model what the report shows; the admin sees both figures in its row. Most calls teach nothing.

    Where nothing was reported, our own count teaches of the limit alone, once it is far above.
    """
    is_counted = usage.source != "reported"
    if is_above_limit(usage.output // COUNTED_ABOVE if is_counted else usage.output, prompt.max_output_tokens):
        learn_limit(name, prompt, usage)
    if is_counted:
        return
    is_text = prompt.messages and not usage.searches and not any(said.images for said in prompt.messages)
    beyond = usage.input_tokens - prompt.input_token_bound
    if is_text and beyond > 0:
        learn_extra(name, prompt, beyond)


def learn_limit(name: str, prompt: Prompt, usage: TokenUsage) -> None:
    """The limit was not read by the name that it was sent by: from now on it is sent by both."""
    unknown = AIModel.name == name, AIModel.limit_name.is_(None)
    if db.session.execute(update(AIModel).where(*unknown).values(limit_name=BOTH)).rowcount:  # type: ignore[attr-defined]
        asked = prompt.max_output_tokens
        log.warning("%s wrote %s tokens, %s were asked for: its limit gets both names", name, usage.output, asked)


def learn_extra(name: str, prompt: Prompt, beyond: int) -> None:
    """The host added more to the prompt than the reservation had room for: the next one has, within reason."""
    most = AIModel.context_window / LARGEST_SHARE
    extra = prompt.extra_input_tokens + beyond
    known = AIModel.extra_input_tokens
    smaller = AIModel.name == name, extra <= most, or_(known.is_(None), known < extra)
    if db.session.execute(update(AIModel).where(*smaller).values(extra_input_tokens=extra)).rowcount:  # type: ignore[attr-defined]
        log.warning("the host of %s adds up to %s tokens to a prompt: reserved from now on", name, extra)
