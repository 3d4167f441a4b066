"""Shows a new secret, such as a key, once: on the page its form leads to, within minutes."""

from cryptography.fernet import InvalidToken
from flask import session

from app.models.encryption import cipher

USE = "shown once"
SECONDS = 300


def keep_to_show(secret: str) -> None:
    """In the cookie, which is signed alone, it is sealed."""
    session[USE] = cipher(USE).encrypt(secret.encode()).decode()


def shown_once() -> str:
    """What was kept to be shown; "" where nothing was, or too long ago."""
    sealed = session.pop(USE, "")
    try:
        return cipher(USE).decrypt(sealed, ttl=SECONDS).decode() if sealed else ""
    except InvalidToken:
        return ""
