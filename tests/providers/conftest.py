"""A local provider, and both vendors' wrappers pointed at it with and without patience."""

import socket
from collections.abc import Iterator

import pytest

from app.providers.anthropic import AnthropicProvider
from app.providers.openai import OpenAIProvider
from tests.support.provider_server import ProviderServer
from tests.support.replies import HASTY, PATIENT

Vendor = OpenAIProvider | AnthropicProvider


@pytest.fixture(scope="session")
def running_server() -> Iterator[ProviderServer]:
    with ProviderServer() as server:
        yield server


@pytest.fixture
def server(running_server: ProviderServer) -> ProviderServer:
    running_server.reset()
    return running_server


@pytest.fixture(scope="session")
def vendors(running_server: ProviderServer) -> Iterator[dict[str, Vendor]]:
    """Both wrappers by their kind."""
    openai = OpenAIProvider(base_url=running_server.openai_url, api_key="canary-key", patience=PATIENT)
    anthropic = AnthropicProvider(base_url=running_server.url, api_key="canary-key", patience=PATIENT)
    yield {"openai": openai, "anthropic": anthropic}
    openai.client.close()
    anthropic.client.close()


@pytest.fixture(params=["openai", "anthropic"])
def vendor(request: pytest.FixtureRequest, vendors: dict[str, Vendor], server: ProviderServer) -> Vendor:
    """Each wrapper in turn, at a server that answers as if nobody had asked before."""
    return vendors[request.param]


@pytest.fixture
def hasty_vendor(vendor: Vendor) -> Iterator[Vendor]:
    """Each wrapper in turn, waiting no longer than 0.6 s for the next byte."""
    hasty = type(vendor)(base_url=str(vendor.client.base_url), api_key="canary-key", patience=HASTY)
    yield hasty
    hasty.client.close()


@pytest.fixture
def free_address() -> Iterator[str]:
    """An address at which nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"
