"""Names and email addresses in the one form that is stored, compared and counted. security.md 26 and 27."""

import hashlib
import re

from email_validator import EmailNotValidError, validate_email

LONGEST_ADDRESS = 254
LONGEST_NAME = 100
WEB_OR_MAIL = re.compile(r"://|\bwww\.|\w@\w|\w\.[^\W\d_]{2,}", re.IGNORECASE)
"""What a mail program would make a link of."""


def one_line(text: str | None) -> str:
    """Text without line ends, control, bidi and invisible characters; one space where several were."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text or "").split())


def holds_address(name: str) -> bool:
    """Whether a name has a web or mail address in it, which would become a link in a mail."""
    return WEB_OR_MAIL.search(name) is not None


def checked_address(typed: str | None) -> str | None:
    """The address to keep and to compare by; None where no mail can be sent to what was typed."""
    try:
        return validate_email(one_line(typed), check_deliverability=False).normalized.lower()
    except EmailNotValidError:
        return None


def known_as(typed: str | None) -> str:
    """The address that a stored one is compared with, however it was typed."""
    return checked_address(typed) or one_line(typed).lower()


def mailbox(typed: str | None) -> str:
    """One form for all spellings of a mailbox: as `known_as`, without +tag, and without dots at Gmail."""
    local, _, domain = known_as(typed).rpartition("@")
    local = local.partition("+")[0]
    if domain in {"gmail.com", "googlemail.com"}:
        return local.replace(".", "") + "@gmail.com"
    return f"{local}@{domain}"


def address_mark(email: str) -> str:
    """A stable mark of a mailbox that outlives its deletion without keeping the address."""
    return hashlib.sha256(mailbox(email).encode()).hexdigest()[:32]
