"""Passwords: how they are stored, and which are too easy to take. security.md 18."""

from __future__ import annotations

import secrets
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

SHORTEST, LONGEST = 10, 128
FEWEST_CHARACTERS = 4
"""Different characters that a password must have: "abababababab" has two."""

HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
"""argon2id with 19 MiB, as the OWASP cheat sheet has it; with 64, thirty sign-ins at once would take 2 GB."""

NOBODYS_HASH = HASHER.hash(secrets.token_urlsafe(16))
COMMON = frozenset((Path(__file__).parent / "common_passwords.txt").read_text().split())
"""Those of the 46,000 commonest passwords that are long enough to be taken otherwise; in lower case.

Each of the 3,000 commonest is here or is shorter than `SHORTEST`. Merged from the public lists that
Django and zxcvbn ship.
"""


def weakness(password: str, *own_words: str) -> str | None:
    """What is wrong with a new password, as a sentence; None where it may be taken.

    `own_words` are what the person would be guessed by: the address, the name.
    """
    if len(password) < SHORTEST:
        return f"Take at least {SHORTEST} characters; a few words in a row are easy to keep in mind."
    if len(password) > LONGEST:
        return f"Take at most {LONGEST} characters."
    easy = password.lower().strip()
    if easy in COMMON or len(set(easy)) < FEWEST_CHARACTERS:
        return "This is one of the passwords that are tried first. Take another."
    if easy in {word.lower() for word in own_words}:
        return "This is your address or name: it would be tried first. Take another."
    return None


def hashed(password: str) -> str:
    """What is stored: argon2id, with a salt of its own."""
    return HASHER.hash(password)


def is_right(password: str, stored: str | None) -> bool:
    """Whether the password belongs to the stored hash; the same work is done where there is none."""
    try:
        return HASHER.verify(stored or NOBODYS_HASH, password[: LONGEST + 1]) and stored is not None
    except (VerificationError, InvalidHashError):
        return False
