"""The second factor: codes of an authenticator, each good once, and recovery codes."""

import hmac
import secrets
from datetime import datetime

import pyotp
from cryptography.fernet import InvalidToken
from sqlalchemy import or_, select, update

from app.extensions import db
from app.models.base import utcnow
from app.models.encryption import cipher
from app.models.identity.user import User, UserSession, digest

STEP_SECONDS = 30
RECOVERY_CODES = 10


def renew_recovery_codes(user: User) -> list[str]:
    """New codes for the day the telephone is lost, each good once, shown this once; the old ones are dead."""
    codes = [secrets.token_hex(14) for _number in range(RECOVERY_CODES)]
    user.recovery_hashes = [digest(code) for code in codes]
    return codes


def seal(secret: str) -> str:
    """An authenticator's secret as it is stored."""
    return cipher("second factor").encrypt(secret.encode()).decode()


def secret_of(user: User) -> str | None:
    """The secret of a user's authenticator; None where there is none, or where it was sealed under another SECRET_KEY.

    In that case the recovery codes still work: they are hashes, and depend on no key.
    """
    try:
        return cipher("second factor").decrypt(user.totp_secret.encode()).decode() if user.totp_secret else None
    except InvalidToken:
        return None


def is_code_of(secret: str, code: str, step: int) -> bool:
    shown = pyotp.TOTP(secret).generate_otp(step)
    return hmac.compare_digest(shown.encode(), code.encode("utf-8", "replace"))


def step_of(secret: str, code: str, at: datetime) -> int | None:
    """The half minute that a code belongs to, a step early or late included; None where it is wrong."""
    now = int(at.timestamp()) // STEP_SECONDS
    return next((step for step in (now, now - 1, now + 1) if is_code_of(secret, code, step)), None)


def passes(user: User, typed: str) -> bool:
    """Whether that is the user's code now, or an unused recovery code; either is used up by it."""
    code = "".join(typed.split()).lower().replace("-", "")
    if len(code) != 6:
        # A recovery code, used up while the user is held, so that it passes only once.
        User.hold(user.id)
        db.session.refresh(user, ["recovery_hashes"])
        left = [kept for kept in user.recovery_hashes if kept != digest(code)]
        is_one = len(left) < len(user.recovery_hashes)
        user.recovery_hashes = left
        db.session.flush()
        return is_one
    secret = secret_of(user)
    step = step_of(secret, code, utcnow()) if secret else None
    if step is None:
        return False
    fresh = User.id == user.id, or_(User.totp_step.is_(None), User.totp_step < step)
    return db.session.scalar(update(User).where(*fresh).values(totp_step=step).returning(User.id)) is not None


def enroll(user: User, secret: str, code: str) -> list[str] | None:
    """Bind an authenticator that shows the right code; the recovery codes, or None where it does not."""
    step = step_of(secret, "".join(code.split()), utcnow())
    if step is None:
        return None
    user.totp_secret, user.totp_step = seal(secret), step
    return renew_recovery_codes(user)


def forget(user: User) -> None:
    """Take the second factor away: the telephone is lost, and the codes too."""
    user.totp_secret = user.totp_step = None
    user.recovery_hashes = []
    db.session.execute(update(UserSession).where(UserSession.user_id == user.id).values(second_factor_at=None))


def state_of(session_secret: str) -> tuple[bool, bool]:
    """(has an authenticator, has shown it in this session)."""
    query = select(User.totp_secret, UserSession.second_factor_at).join(User, User.id == UserSession.user_id)
    row = db.session.execute(query.where(UserSession.secret_hash == digest(session_secret))).one()
    return row.totp_secret is not None, row.second_factor_at is not None


def remember(session_secret: str) -> None:
    """This session has shown the second factor."""
    shown = update(UserSession).where(UserSession.secret_hash == digest(session_secret))
    db.session.execute(shown.values(second_factor_at=utcnow()))
