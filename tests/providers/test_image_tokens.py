"""Images in a prompt: in each vendor's form, and never counted as more than is reserved."""

import base64

import pytest

from app.providers.base import Prompt, PromptMessage
from app.providers.image_tokens import PromptImage, most_tokens, ordinary_tokens
from tests.providers.conftest import Vendor
from tests.support.pictures import png
from tests.support.provider_server import ProviderServer
from tests.support.replies import outcome_of

PICTURE = PromptImage("image/png", png(3, 2), token_bound=100, tokens=10)
TALK = (PromptMessage("user", "What is this?", (PICTURE,)),)


def test_openai_is_sent_an_image_as_a_part(vendors: dict[str, Vendor], server: ProviderServer) -> None:
    outcome_of(vendors["openai"].stream(Prompt("gpt-4o", TALK, 10)))
    address = f"data:image/png;base64,{base64.b64encode(png(3, 2)).decode()}"

    assert server.last["body"]["messages"] == [{"role": "user", "content": [
        {"type": "image_url", "image_url": {"url": address, "detail": "high"}},
        {"type": "text", "text": "What is this?"},
    ]}]  # fmt: skip


def test_anthropic_is_sent_an_image_as_a_block(vendors: dict[str, Vendor], server: ProviderServer) -> None:
    outcome_of(vendors["anthropic"].stream(Prompt("claude-sonnet-4-5", TALK, 10)))
    source = {"type": "base64", "media_type": "image/png", "data": base64.b64encode(png(3, 2)).decode()}

    assert server.last["body"]["messages"] == [{"role": "user", "content": [
        {"type": "image", "source": source}, {"type": "text", "text": "What is this?"},
    ]}]  # fmt: skip


def test_an_image_is_in_what_is_reserved_and_in_what_is_counted_here() -> None:
    text, both = Prompt("m", (PromptMessage("user", "What is this?"),), 10), Prompt("m", TALK, 10)

    assert both.input_token_bound == text.input_token_bound + 100
    assert both.tokens == text.tokens + 10


def tiled(width: int, height: int) -> int:
    """OpenAI's GPT-4o: within 2,048 x 2,048, then 768 on the shorter side, then tiles of 512."""
    scale = min(1, 2048 / max(width, height))
    width, height = width * scale, height * scale
    scale = 768 / min(width, height)
    if scale < 1:
        width, height = width * scale, height * scale
    return 85 + 170 * -int(-width // 512) * -int(-height // 512)


SIZES = [(1, 1), (28, 28), (512, 512), (1024, 1024), (1092, 1092), (2576, 1449), (8000, 10), (8000, 8000)]


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_no_vendor_counts_more_than_the_bound(width: int, height: int) -> None:
    patches = -(-width // 32) * -(-height // 32)
    claude = min(4784, max(-(-width // 28) * -(-height // 28), width * height / 750))

    high = max(tiled(width, height), min(2500, patches) * 2.46, 1120)
    assert most_tokens("openai", width, height) >= high
    assert most_tokens("openai", width, height, is_original=True) >= max(high, min(10_000, patches) * 1.2)
    assert most_tokens("anthropic", width, height) >= claude
    assert ordinary_tokens(width, height) <= min(most_tokens(kind, width, height) for kind in ("openai", "anthropic"))
