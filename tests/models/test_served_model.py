"""Whether the model that answered is the one that was asked for: routers, regions and dates in its name."""

import pytest

from app.models.catalog.served_model import is_same_model

SAME = [
    ("gpt-4o", "gpt-4o-2024-08-06"),
    ("GPT-4o", "gpt-4o"),
    ("claude-sonnet-4-5", "claude-sonnet-4-5-20250929"),
    ("claude-3-7-sonnet-latest", "claude-3-7-sonnet-20250219"),
    ("grok-4-latest", "grok-4-0709"),
    ("mistral-large-latest", "mistral-large-2411"),
    ("command-r-plus", "command-r-plus-08-2024"),
    ("kimi-k2", "kimi-k2-0905-preview"),
    ("gemini-2.5-flash", "models/gemini-2.5-flash-preview-05-20"),
    ("gemini-2.5-pro", "gemini-2.5-pro-exp-03-25"),
    ("meta-llama/llama-3.3-70b-instruct:free", "meta-llama/llama-3.3-70b-instruct"),
    ("deepseek/deepseek-chat", "deepseek/deepseek-chat:nitro"),
    ("claude-sonnet-4-5", "anthropic/claude-sonnet-4.5"),
    ("claude-3-5-sonnet-20241022", "us.anthropic.claude-3-5-sonnet-20241022-v2:0"),
    ("claude-sonnet-4-5", "claude-sonnet-4-5@20250929"),
    ("qwen-plus", "qwen-plus-2025-09-11"),
    ("llama-v3p1-8b-instruct", "accounts/fireworks/models/llama-v3p1-8b-instruct"),
    ("tiny", "/srv/models/tiny/"),
    ("gpt-5-chat-latest", "gpt-5-chat-latest"),
]
OTHER = [
    ("gpt-5", "gpt-5-mini"),
    ("gpt-4", "gpt-4.1"),
    ("gpt-4o-2024-05-13", "gpt-4o-2024-08-06"),
    ("deepseek-v3", "deepseek-v4"),
    ("deepseek-v3", "deepseek-v3.2"),
    ("claude-3-5-sonnet", "claude-3-5-haiku"),
    ("grok-4", "grok-4-fast"),
    ("grok-4-latest", "grok-4-fast"),
    ("llama-3-8b", "llama-3"),
    ("o3", "o3-mini"),
    ("gemini-2.5-flash", "gemini-2.5-flash-lite"),
    ("qwen3-max", "qwen3-max-thinking"),
]


@pytest.mark.parametrize(("names", "is_same"), [(SAME, True), (OTHER, False)])
def test_a_model_is_known_by_any_of_its_names(names: list[tuple[str, str]], is_same: bool) -> None:
    wrong = [pair for pair in names if is_same_model(*pair) is not is_same]
    wrong += [pair for pair in names if is_same_model(*reversed(pair)) is not is_same]
    assert wrong == []
