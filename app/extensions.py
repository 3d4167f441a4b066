"""The Flask extensions, unbound; `create_app` binds them."""

from collections.abc import Callable

import redis
from flask_babel import Babel
from flask_limiter import Limiter
from flask_login import LoginManager
from flask_mailman import Mail
from flask_sqlalchemy import SQLAlchemy
from flask_wtf import CSRFProtect
from limits import RateLimitItem
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter, RateLimiter

from app.db import engine
from app.db.replica import RoutedSession
from app.db.types import Base


def key_of_no_limit() -> str:
    raise NotImplementedError("Each limit names what it counts by.")


db = SQLAlchemy(model_class=Base, session_options={"class_": RoutedSession})
login = LoginManager()
csrf = CSRFProtect()
limiter = Limiter(key_of_no_limit)
mailman = Mail()
babel = Babel()

WITHOUT_REDIS = MovingWindowRateLimiter(MemoryStorage())


def is_over(limit: RateLimitItem, *what: str) -> bool:
    """Count one more of it; whether that is one too many."""
    return not first_answer(lambda limits: limits.hit(limit, *what))


def has_room(limit: RateLimitItem, *what: str) -> bool:
    """Whether one more would be let in; nothing is counted."""
    return first_answer(lambda limits: limits.test(limit, *what))


def first_answer(ask: Callable[[RateLimiter], bool]) -> bool:
    """Where Redis is away, each process counts for itself."""
    try:
        return ask(limiter.limiter)
    except redis.RedisError:
        return ask(WITHOUT_REDIS)


__all__ = ["babel", "csrf", "db", "engine", "has_room", "is_over", "limiter", "login", "mailman"]
