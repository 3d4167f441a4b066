"""The offline demo models: they stream, report usage, keep their limit, and fail on command."""

import re
import time

import pytest

from app.providers.base import Prompt, PromptMessage, estimate_tokens
from app.providers.demo import DemoProvider
from app.providers.demo_script import TEXTS
from tests.support.crowding import patient
from tests.support.replies import Outcome, asking, outcome_of

AT_ONCE = DemoProvider(pace=0, patience=0.1)


def answer(text: str, *, model: str = "demo-smart", most: int = 8192) -> Outcome:
    return outcome_of(AT_ONCE.stream(asking(text, model=model, most=most)))


@pytest.mark.parametrize("model", ["demo-fast", "demo-smart", "demo-reasoning"])
def test_a_demo_model_answers_and_reports_its_usage(model: str) -> None:
    outcome = answer("Hello!", model=model)

    assert (outcome.finish_reason, outcome.usage.source) == ("stop", "reported")
    assert outcome.usage.output >= estimate_tokens(outcome.text) > 100
    assert 0 < outcome.usage.input_tokens <= asking("Hello!").input_token_bound


def test_the_same_prompt_gets_the_same_answer() -> None:
    assert answer("Why is the sky blue?") == answer("Why is the sky blue?")


def test_other_prompts_get_other_answers() -> None:
    assert len({answer(f"Question {number} about nothing").text for number in range(20)}) > 5


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ("What is a credit?", "thousandth of a dollar"),
        ("Show me some code", "```python"),
        ("Compare the plans", "| Free |"),
        ("/demo", "/demo no-usage"),
        ("/demo HELP me", "/demo no-usage"),
        ("/demo nonsense", "/demo no-usage"),
        ("/demo table", "|:--|"),
        ("/demo empty\n\n/demo table", "|:--|"),
        ("/demo code", "```sql"),
    ],
)
def test_a_question_finds_its_topic(question: str, text: str) -> None:
    assert text in answer(question).text


@pytest.mark.parametrize("question", ["Write something long", "/demo long"])
def test_long_is_long(question: str) -> None:
    assert len(answer(question).text.split()) > 2000


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("error", "unavailable"),
        ("cut", "cut"),
        ("malformed", "malformed"),
        ("timeout", "timeout"),
        ("hang", "timeout"),
        ("busy", "rate_limited"),
        ("credentials", "credentials"),
    ],
)
def test_a_failure_is_played_on_command(command: str, reason: str) -> None:
    outcome = answer(f"/demo {command}")

    assert (outcome.reason, outcome.finish_reason, outcome.usage.source) == (reason, None, "none")


@pytest.mark.parametrize(
    ("command", "finish"),
    [("length", "length"), ("filter", "filter"), ("refusal", "refusal"), ("empty", "stop")],
)
def test_an_early_end_is_played_on_command(command: str, finish: str) -> None:
    outcome = answer(f"/demo {command}")

    assert (outcome.error, outcome.finish_reason, outcome.usage.source) == (None, finish, "reported")


def test_a_forgotten_bill_is_played_on_command() -> None:
    outcome = answer("/demo no-usage")

    assert (outcome.finish_reason, outcome.usage.source, bool(outcome.text)) == ("stop", "none", True)


def test_no_output_is_reported_for_an_empty_answer() -> None:
    outcome = answer("/demo empty")

    assert (outcome.text, outcome.usage.output) == ("", 0)


def test_every_command_of_the_help_does_something_of_its_own() -> None:
    commands = re.findall(r"`/demo ([\w-]+)`", answer("/demo help").text)

    assert len(commands) == 17
    assert not [command for command in commands if answer(f"/demo {command}").text == answer("/demo help").text]


@pytest.mark.parametrize("model", ["demo-fast", "demo-reasoning"])
@pytest.mark.parametrize("most", [1, 2, 40, 256])
def test_the_limit_is_kept(most: int, model: str) -> None:
    outcome = answer("/demo long", model=model, most=most)

    assert outcome.finish_reason == "length"
    assert 0 < outcome.usage.output <= most


def test_thinking_is_output_that_nobody_sees() -> None:
    thought, plain = answer("/demo reasoning"), answer("tokens")

    assert thought.text == plain.text
    assert thought.usage.output == plain.usage.output + 200


def test_a_longer_talk_is_read_from_the_cache() -> None:
    said = PromptMessage("user", "Tell me about credits. " * 20), PromptMessage("assistant", "Gladly. " * 50)
    prompt = Prompt("demo-smart", (*said, PromptMessage("user", "And gates?")), 4096)

    usage = outcome_of(AT_ONCE.stream(prompt)).usage

    assert usage.cache_read == estimate_tokens(said[0].content) + 4
    assert usage.input_tokens == sum(estimate_tokens(message.content) + 4 for message in prompt.messages)


def test_the_pace_is_natural_and_can_be_set() -> None:
    start = time.monotonic()

    outcome_of(DemoProvider(pace=0.01).stream(asking("/demo refusal", model="demo-smart")))

    assert 0.2 < time.monotonic() - start < patient(3)


def test_every_text_is_whole_markdown() -> None:
    for path in TEXTS.glob("*.md"):
        text = path.read_text()
        assert text.count("```") % 2 == 0, path.name
        assert text.endswith("\n"), path.name
