"""Opens a provider by its kind; the vendors' packages are loaded only when one is needed."""

import os
import threading

from app.providers.base import PLAIN, Provider, ProviderOptions

_opened: dict[tuple[int, str, str | None, str | None, ProviderOptions], Provider] = {}
_lock = threading.Lock()


def open_provider(
    kind: str, *, base_url: str | None, api_key: str | None, options: ProviderOptions = PLAIN
) -> Provider:
    """The provider of kind openai, anthropic, google or demo at that address (None = the vendor's own), with that key.

    The same arguments give the same provider, so that its connections serve all of a process; a forked process
    makes its own.
    """
    key = (os.getpid(), kind, base_url, api_key, options)
    with _lock:
        if key not in _opened:
            _opened[key] = _made(kind, base_url, api_key, options)
        return _opened[key]


def _made(kind: str, base_url: str | None, api_key: str | None, options: ProviderOptions) -> Provider:
    if kind == "openai":
        from app.providers.openai import OpenAIProvider  # noqa: PLC0415

        return OpenAIProvider(base_url=base_url, api_key=api_key, options=options)
    if kind == "anthropic":
        from app.providers.anthropic import AnthropicProvider  # noqa: PLC0415

        return AnthropicProvider(base_url=base_url, api_key=api_key, options=options)
    if kind == "google":
        from app.providers.google import GoogleProvider  # noqa: PLC0415

        return GoogleProvider(base_url=base_url, api_key=api_key, options=options)
    if kind == "demo":
        from app.providers.demo import DemoProvider  # noqa: PLC0415

        return DemoProvider()
    raise LookupError(f"no provider is of kind {kind!r}")
