"""How a call ended, beside its usage: the reason, the model that answered, what the provider says it billed."""

from dataclasses import dataclass, replace
from typing import Any

from app.providers.base import Evidence

NOTES = {
    "length": "The answer reached its length limit. Continue it, or raise the limit in the chat's settings.",
    "shortened": "This answer was cut short: your balance or a limit doesn't cover more.",
    "thought": "The model spent its whole limit on thinking and wrote nothing. "
    "Raise the limit of this chat, or ask for less at once.",
    "empty": "The model's answer was empty. Try again, or ask another model.",
    "filter": "The provider's content filter ended this answer. Rephrase your message.",
    "refusal": "The model declined to answer. Rephrase your message, or ask another model.",
    "tool_calls": "The model wanted to use a tool that it does not have here.",
    "pause_turn": "The model paused. Ask it to continue.",
}
INTERRUPTED = "The server restarted while this was being written. You were not charged, and the text so far is kept."
NOTHING_SAID = Evidence()
GOES_ON = {"length", "pause_turn"}
ENDS_IN_REFUSAL = {"filter", "refusal"}


@dataclass(frozen=True, slots=True)
class CallEnding:
    """`finish_reason` is None where the call did not finish. `is_of_sender`: the request itself made it fail."""

    finish_reason: str | None = None
    evidence: Evidence = NOTHING_SAID
    is_of_sender: bool = False

    @property
    def columns(self) -> dict[str, Any]:
        """What the usage row keeps of it."""
        said = self.evidence
        return {
            "finish_reason": self.finish_reason,
            "answered_model": said.model,
            "service_tier": said.service_tier,
            "billed_nanos": said.cost_nanos,
            "unpriced_pieces": said.unpriced,
        }

    def with_unpriced(self, pieces: int) -> "CallEnding":
        """With so many pieces more that were used and that no price is known for."""
        if not pieces:
            return self
        return replace(self, evidence=replace(self.evidence, unpriced=self.evidence.unpriced + pieces))

    @property
    def is_refused(self) -> bool:
        """The same question would be refused again: it is not sent anymore."""
        return self.is_of_sender or self.finish_reason in ENDS_IN_REFUSAL


def finish_note(finish_reason: str | None, *, has_text: bool = True, is_shortened: bool = False) -> str | None:
    """What the reader is told of an end that is none of the answer's own; None where it just ended.

    `has_text`, or an image. `is_shortened`: balance or limits afforded less output than was asked for.
    """
    key = finish_reason or ""
    if key == "length" and (is_shortened or not has_text):
        key = "shortened" if has_text else "thought"
    elif key and key not in NOTES and not has_text:
        key = "empty"
    return NOTES.get(key)


def can_go_on(finish_reason: str | None, *, has_text: bool = True) -> bool:
    return has_text and finish_reason in GOES_ON
