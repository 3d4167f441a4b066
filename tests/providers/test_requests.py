"""What the wrappers send: the model, the messages, the limit, the key, and nothing else."""

import socket
import threading

import pytest

from app.providers.anthropic import AnthropicProvider
from app.providers.base import Prompt, PromptMessage
from app.providers.openai import OpenAIProvider
from app.providers.transport import Client
from tests.providers.conftest import Vendor
from tests.support.provider_server import ProviderServer
from tests.support.replies import HASTY, asking, outcome_of

TALK = (
    PromptMessage("system", "Be brief."),
    PromptMessage("user", "Hello"),
    PromptMessage("assistant", ""),
    PromptMessage("user", "Are you there?"),
)


def test_openai_is_sent_the_whole_prompt(vendors: dict[str, Vendor], server: ProviderServer) -> None:
    outcome_of(vendors["openai"].stream(Prompt("gpt-4o", TALK, 512)))

    assert server.last["path"] == "/v1/chat/completions"
    assert server.last["headers"]["authorization"] == "Bearer canary-key"
    assert server.last["body"] == {
        "model": "gpt-4o",
        "messages": [{"role": message.role, "content": message.content} for message in TALK],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 512,
    }


def test_anthropic_is_sent_the_system_prompt_apart_and_no_empty_message(
    vendors: dict[str, Vendor], server: ProviderServer
) -> None:
    outcome_of(vendors["anthropic"].stream(Prompt("claude-sonnet-4-5", TALK, 512)))

    assert server.last["path"] == "/v1/messages"
    assert server.last["headers"]["authorization"] == "Bearer canary-key"
    assert "anthropic-version" in server.last["headers"]
    assert server.last["body"] == {
        "model": "claude-sonnet-4-5",
        "max_tokens": 512,
        "messages": [{"role": "user", "content": "Hello"}, {"role": "user", "content": "Are you there?"}],
        "system": "Be brief.",
        "stream": True,
    }


def test_the_limit_is_kept_by_the_provider(vendor: Vendor, server: ProviderServer) -> None:
    outcome = outcome_of(vendor.stream(asking("[[tokens=100]]", most=7)))

    assert (outcome.finish_reason, outcome.usage.output) == ("length", 7)


@pytest.mark.parametrize(
    ("address", "name"),
    [
        (None, "max_completion_tokens"),
        ("https://api.openai.com/v1", "max_completion_tokens"),
        ("https://eu.api.openai.com/v1", "max_completion_tokens"),
        ("https://ada.openai.azure.com/openai/v1", "max_completion_tokens"),
        ("https://api.deepseek.com", "max_tokens"),
        ("https://generativelanguage.googleapis.com/v1beta/openai/", "max_tokens"),
        ("http://127.0.0.1:11434/v1", "max_tokens"),
        ("https://notapi.openai.com.example.com/v1", "max_tokens"),
    ],
)
def test_the_limit_has_the_name_that_the_address_knows(address: str | None, name: str) -> None:
    assert OpenAIProvider(base_url=address, api_key="k").limit_name("m") == name


def test_a_model_that_wants_the_other_name_gets_it_from_then_on(server: ProviderServer) -> None:
    vendor = OpenAIProvider(base_url=server.openai_url, api_key="k")
    server.configure(refused="max_tokens", tokens=1)

    texts = [outcome_of(vendor.stream(asking("hi", most=9))).text for _ in range(2)]
    vendor.client.close()

    assert (texts, server.count) == (["word0 ", "word0 "], 3)
    assert "max_completion_tokens" in server.last["body"]
    assert "max_tokens" not in server.last["body"]


def test_half_a_character_in_a_prompt_does_not_stop_it(vendor: Vendor, server: ProviderServer) -> None:
    outcome = outcome_of(vendor.stream(asking("a\ud83db [[tokens=1]]")))

    assert (outcome.text, server.last["body"]["messages"][0]["content"]) == ("word0 ", "a?b [[tokens=1]]")


def test_the_default_addresses_are_the_vendors_own() -> None:
    assert str(OpenAIProvider(base_url=None, api_key="k").client.base_url) == "https://api.openai.com/v1/"
    assert str(AnthropicProvider(base_url=None, api_key="k").client.base_url) == "https://api.anthropic.com"


def test_a_key_in_the_environment_is_not_taken_unasked(monkeypatch: pytest.MonkeyPatch, server: ProviderServer) -> None:
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.setenv(name, "of-somebody-else")
    for vendor in (
        OpenAIProvider(base_url=server.openai_url, api_key=None),
        AnthropicProvider(base_url=server.url, api_key=None),
    ):
        outcome_of(vendor.stream(asking("hi")))
        vendor.client.close()

        assert "of-somebody-else" not in str(server.last["headers"])


def test_a_proxy_of_the_environment_is_asked_for_a_tunnel(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://ada:s3cret@127.0.0.1:{proxy.getsockname()[1]}")
        vendor = OpenAIProvider(base_url="https://models.example.com/v1", api_key="k", patience=HASTY)
        asked = []

        def refuse_all() -> None:
            for _ in range(3):
                actor, _ = proxy.accept()
                asked.append(actor.recv(1000).decode())
                actor.sendall(b"HTTP/1.1 403 Forbidden\r\n\r\n")
                actor.close()

        threading.Thread(target=refuse_all, daemon=True).start()
        outcome = outcome_of(vendor.stream(asking("hi")))

    assert outcome.reason == "unavailable"
    assert asked[0].startswith("CONNECT models.example.com:443 HTTP/1.")
    assert "Proxy-Authorization: Basic YWRhOnMzY3JldA==" in asked[0]


def test_a_request_keeps_what_the_package_asks_of_the_transport() -> None:
    """Anthropic's names the host where it has an underscore, as services of docker have."""
    made = Client().build_request(
        "POST", "http://my_model:8000/v1", timeout=5.0, extensions={"sni_hostname": "my_model"}, json={"a": 1}
    )
    assert made.extensions["sni_hostname"] == "my_model"
    assert made.extensions["timeout"]["read"] == 5.0
    assert made.content == b'{"a":1}'
