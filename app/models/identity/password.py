"""Passwords: how they are stored, and which are too easy to take. security.md 18."""

import os
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import BoundedSemaphore
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

SHORTEST, LONGEST = 10, 128
FEWEST_CHARACTERS = 4
"""Different characters that a password must have: "abababababab" has two."""

HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
"""argon2id with 19 MiB, as the OWASP cheat sheet has it; with 64, thirty sign-ins at once would take 2 GB."""

HASHERS = ThreadPoolExecutor(max_workers=len(os.sched_getaffinity(0)), thread_name_prefix="hasher")
MOST_WAITING = 100
PLACES = BoundedSemaphore(MOST_WAITING)
Answer = TypeVar("Answer")

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
        return f"Use at least {SHORTEST} characters. A few words in a row are easy to remember."
    if len(password) > LONGEST:
        return f"Use at most {LONGEST} characters."
    easy = password.lower().strip()
    if easy in COMMON or len(set(easy)) < FEWEST_CHARACTERS:
        return "This password is too common. Choose another."
    if easy in {word.lower() for word in own_words}:
        return "Don't use your email or name as your password. Choose another."
    return None


class HashingBusy(Exception):
    """So many passwords wait to be hashed that one more would only wait too."""

    retry_after = 5

    def __init__(self) -> None:
        super().__init__("Many people are signing in right now. Try again in a few seconds; nothing was changed.")


def by_hasher(work: Callable[[], Answer]) -> Answer:
    """Have one of the few threads do it that hash: as many as processors, so that their memory is bounded and kept
    by them alone. HashingBusy where too many wait."""
    if not PLACES.acquire(blocking=False):
        raise HashingBusy
    try:
        return HASHERS.submit(work).result()
    finally:
        PLACES.release()


def hashed(password: str) -> str:
    """What is stored: argon2id, with a salt of its own."""
    return by_hasher(lambda: HASHER.hash(password))


def is_right(password: str, stored: str | None) -> bool:
    """Whether the password belongs to the stored hash; the same work is done where there is none."""
    try:
        return by_hasher(lambda: HASHER.verify(stored or NOBODYS_HASH, password[: LONGEST + 1])) and stored is not None
    except (VerificationError, InvalidHashError):
        return False
