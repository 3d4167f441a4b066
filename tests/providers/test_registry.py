"""The registry: one provider per address and key and process."""

import multiprocessing
import sys
import threading

import pytest

from app.providers.anthropic import AnthropicProvider
from app.providers.base import Provider
from app.providers.demo import DemoProvider
from app.providers.openai import OpenAIProvider
from app.providers.registry import open_provider


@pytest.mark.parametrize(
    ("kind", "made"), [("openai", OpenAIProvider), ("anthropic", AnthropicProvider), ("demo", DemoProvider)]
)
def test_a_kind_gives_its_provider(kind: str, made: type) -> None:
    assert type(open_provider(kind, base_url=None, api_key="k")) is made


def test_an_unknown_kind_is_an_error() -> None:
    with pytest.raises(LookupError, match="telepathy"):
        open_provider("telepathy", base_url=None, api_key=None)


def test_the_same_address_and_key_share_a_provider() -> None:
    first = open_provider("openai", base_url="http://127.0.0.1:1/v1", api_key="k")

    assert open_provider("openai", base_url="http://127.0.0.1:1/v1", api_key="k") is first


@pytest.mark.parametrize(("base_url", "api_key"), [("http://127.0.0.1:2/v1", "k"), ("http://127.0.0.1:1/v1", "other")])
def test_another_address_or_key_is_another_provider(base_url: str, api_key: str) -> None:
    first = open_provider("openai", base_url="http://127.0.0.1:1/v1", api_key="k")

    assert open_provider("openai", base_url=base_url, api_key=api_key) is not first


def test_many_threads_open_one_provider() -> None:
    opened: list[Provider] = []
    threads = [
        threading.Thread(target=lambda: opened.append(open_provider("anthropic", base_url=None, api_key="race")))
        for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({id(provider) for provider in opened}) == 1


def test_a_forked_process_opens_its_own() -> None:
    parent = open_provider("openai", base_url=None, api_key="fork")

    def look() -> None:
        sys.exit(open_provider("openai", base_url=None, api_key="fork") is parent)

    child = multiprocessing.get_context("fork").Process(target=look)
    child.start()
    child.join(30)

    assert child.exitcode == 0
