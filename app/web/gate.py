"""The gate: `@requires_tokens` guards every route that spends."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial, wraps
from typing import Any, TypeVar, cast

from flask import Response, g, make_response
from flask_login import current_user
from sqlalchemy.exc import SQLAlchemyError

from app.extensions import db
from app.jobs import JobName, enqueue
from app.models.base import credits_string, utcnow
from app.models.metering.account_state import AccountState
from app.models.metering.gate_checks import check_account
from app.models.metering.key_limit import spendable
from app.models.metering.plan_limits import remaining
from app.models.metering.refusal import Refusal
from app.models.metering.reservation import load_account_state
from app.web.departure import check_presence

View = TypeVar("View", bound=Callable[..., Any])


def says_remaining(kind: str) -> Callable[[View], View]:
    """Say on the answer how many `chats`, `documents` or `images` the plan leaves, where it bounds them.

    Outside of the gate.
    """

    def mark(view: View) -> View:
        @wraps(view)
        def said(*args: Any, **kwargs: Any) -> Response:
            response = make_response(view(*args, **kwargs))
            left = remaining(AccountState.load(current_user.account_id), kind)
            db.session.rollback()
            if left is not None:
                response.headers[f"X-{kind.capitalize()}-Remaining"] = str(left)
            return response

        return cast(View, said)

    return mark


def requires_tokens(view: View) -> View:
    """Let a call begin only for an account in good standing, and say on every answer what is left.

    The view reserves what it needs, in one step with the checks that depend on the request
    (`reserve_with` or `admit` of `models.metering.reservation`); calls that run already are never touched.
    """

    @wraps(view)
    def gated(*args: Any, **kwargs: Any) -> Response:
        check_presence()
        now = utcnow()
        account_state = load_account_state(current_user.account_id, now, read=current_user.account_state)
        g.left_at_gate = partial(spendable, account_state, current_user._get_current_object(), now)
        check_account(account_state, current_user)
        try:
            return make_response(view(*args, **kwargs))
        except Refusal:
            if account_state.needs_recharge:
                enqueue(JobName.RECHARGE, account_state.account_id)
            raise

    gated.is_gated = True  # type: ignore[attr-defined]
    return cast(View, gated)


def say_what_is_left(response: Response) -> Response:
    """After a gated request: by its reservation, else as it was at the gate; limits are summed up only then."""
    if "left_at_gate" in g and current_user.is_authenticated:
        with suppress(SQLAlchemyError):
            left = g.available_nanos if "available_nanos" in g else g.left_at_gate()
            response.headers["X-Credits-Remaining"] = credits_string(left)
    return response
