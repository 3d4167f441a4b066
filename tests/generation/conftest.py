"""Calls of all kinds over HTTP in this process: ada with a key, and a provider on loopback."""

from tests.chat.conftest import ada, door, environment, provider

__all__ = ["ada", "door", "environment", "provider"]
