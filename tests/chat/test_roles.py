"""Whatever is left out of a prompt, and whatever happened before: the user's message is first, and roles alternate."""

import random

import pytest

from app.models.billing.audit import audit
from app.models.billing.call_audit import audit_calls
from app.models.catalog.ai_model import AIModel
from tests.chat.conftest import Door
from tests.support import Database
from tests.support.people import Heard, heard
from tests.support.provider_server import ProviderServer

HAPPENINGS = (
    {}, {}, {},
    {"fault": "400"}, {"fault": "401"}, {"fault": "429"}, {"fault": "500"},
    {"fault": "cut", "after": 2}, {"fault": "empty", "tokens": 0}, {"fault": "error_event", "after": 1},
    {"finish": "filter", "tokens": 2}, {"finish": "refusal"}, {"finish": "length"},
    {"text": "<think>\nHm.\n</think>\n"}, {"text": "<think>\nHm.\n</think>\nYes."}, {"text": " \n"},
)  # fmt: skip


@pytest.mark.parametrize("seed", range(2))
def test_no_history_breaks_the_form_of_a_prompt(
    ada: Door, provider: ProviderServer, session: Database, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311
    model = session.query(AIModel).filter_by(name="gpt-test").one()
    model.context_window, model.max_output_tokens = chance.choice([3_000, 8_000]), 400
    session.commit()
    chat, told = ada.new_chat(), list[Heard]()
    for number in range(14):
        provider.reset()
        provider.configure(**{"text": "so it is. " * chance.choice([1, 60, 200])} | chance.choice(HAPPENINGS))
        again = chance.choice(told) if told and chance.random() < 0.3 else None
        told.append(step(ada, chat, again, f"{number} " + "and then? " * chance.choice([1, 80, 250])))
        roles = [said["role"] for said in provider.last["body"]["messages"]]
        assert roles == ["user", "assistant"] * (len(roles) // 2) + ["user"], (seed, number)
    assert list(audit()) == []
    assert audit_calls().all() == []


def step(ada: Door, chat: str, again: Heard | None, content: str) -> Heard:
    """A question at the end of the chat; one of before in other words; or its answer once more."""
    if again is None:
        return ada.ask(content, chat=chat, max_output_tokens=200)
    if len(content) % 2:
        edited = f"/messages/{again.start['user_message_id']}"
        return heard(ada.call("PUT", edited, json={"content": content, "max_output_tokens": 200}).data)
    return heard(ada.call("POST", f"/messages/{again.start['message_id']}/regenerate", json={}).data)
