"""The stand-in for AI providers itself: by control, and by itself."""

import json
import subprocess
import sys
import urllib.request
from typing import Any

from tests.providers.conftest import Vendor
from tests.support.provider_server import ProviderServer
from tests.support.replies import asking, outcome_of


def call(url: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    content = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, content), timeout=60) as answer:  # noqa: S310
        told: dict[str, Any] = json.load(answer)
    return told


def test_it_is_told_how_to_answer_and_tells_what_it_was_asked(vendor: Vendor, server: ProviderServer) -> None:
    call(f"{server.url}/_control", {"text": "Good morning", "finish": "length", "input_tokens": 7})

    outcome = outcome_of(vendor.stream(asking("hi")))
    told = call(f"{server.url}/_control")

    assert (outcome.text, outcome.finish_reason, outcome.usage.uncached_input) == (
        "Good morning",
        "length",
        7,
    )
    assert (told["count"], told["requests"][0]["body"]["messages"]) == (
        1,
        [{"role": "user", "content": "hi"}],
    )


def test_the_model_s_name_may_carry_a_marker(vendor: Vendor, server: ProviderServer) -> None:
    assert outcome_of(vendor.stream(asking("hi", model="m[[fault:cut after=1]]"))).text == "word0 "


def test_markers_of_earlier_messages_have_had_their_turn(server: ProviderServer) -> None:
    messages = [{"role": "user", "content": "[[tokens=1]]"}, {"role": "user", "content": "and now?"}]

    answer = call(f"{server.openai_url}/chat/completions", {"model": "m", "messages": messages})

    assert answer["usage"]["completion_tokens"] == 20


def test_it_answers_in_one_piece_where_no_stream_is_asked_for(server: ProviderServer) -> None:
    body = {"model": "m", "max_tokens": 2, "messages": [{"role": "user", "content": "hi"}]}

    openai = call(f"{server.openai_url}/chat/completions", body)
    anthropic = call(f"{server.url}/v1/messages", body)

    assert openai["choices"][0]["message"]["content"] == anthropic["content"][0]["text"] == "word0 word1 "
    assert (openai["choices"][0]["finish_reason"], anthropic["stop_reason"]) == ("length", "max_tokens")


def test_it_lists_a_model(server: ProviderServer) -> None:
    assert call(f"{server.openai_url}/models")["data"][0]["object"] == "model"


def test_it_runs_as_a_process_of_its_own() -> None:
    command = [sys.executable, "-m", "tests.support.provider_server", "--tokens", "3"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        answer = call(f"{url}/v1/messages", {"model": "m", "messages": [{"role": "user", "content": "hi"}]})
        process.terminate()

    assert answer["usage"]["output_tokens"] == 3
