"""Every row of the gateway's table of refusals, as the vendors' packages see it: class, code, our words, tries."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

from app.extensions import db
from app.gateway.errors import PASSING
from app.generation import registry
from app.models.base import utcnow, utctoday
from app.models.billing.auto_recharge import AutoRecharge
from app.models.billing.subscription import Subscription
from app.models.catalog.ai_model import AIModel
from app.models.catalog.plan import CreditPack
from app.models.catalog.setting import Setting
from app.models.identity.account import Account
from app.models.identity.api_key import ApiKey
from devserver.redis_server import RedisServer
from tests.api.test_limits import let_more_have_been_sent
from tests.gateway.conftest import HELLO, OPENAI_MODEL, Program, chat_error, message_error
from tests.support import Database, people
from tests.support.people import CREDIT
from tests.support.provider_server import ProviderServer


def broke(account: Account) -> None:
    people.give(account, credits=-account.credits_nanos)


def with_nothing_left_of_the_day(account: Account) -> None:
    broke(account)
    people.give(account, allowance=100 * CREDIT)
    account.daily_limit_nanos = 0


def with_nothing_left_of_these_hours(account: Account) -> None:
    broke(account)
    people.give(account, allowance=100 * CREDIT)
    account.window_hours, account.window_limit_nanos = 5, 0


def unpaid(account: Account) -> None:
    broke(account)
    terms = {"plan_id": account.plan_id, "price_cents": 2000, "currency": "usd"}
    db.session.add(Subscription(account_id=account.id, status="past_due", stripe_id="sub_1", **terms))


def being_recharged(account: Account) -> None:
    broke(account)
    account.recharge_below_nanos = CREDIT
    pack = db.session.query(CreditPack).filter_by(status="active").first()
    limits = {"threshold_nanos": CREDIT, "monthly_max_cents": 10**6, "card_id": "pm_1"}
    db.session.add(AutoRecharge(account_id=account.id, pack_id=pack.id, is_on=True, **limits))


def too_small(account: Account) -> None:
    Setting.put("overdraft", 0)
    people.give(account, credits=1 - account.credits_nanos)


def with_much_absorbed(account: Account) -> None:
    account.day, account.day_absorbed_nanos = utctoday(), Setting.get("absorbed_daily") + 1


def unverified(account: Account) -> None:
    account.owner.email_verified_at = None


def unsold(_account: Account) -> None:
    AIModel.named(OPENAI_MODEL).is_for_sale = False


def crowded(_account: Account) -> None:
    registry.live.readers = 10**6


def in_a_team(account: Account) -> None:
    account.kind, account.memberships[0].monthly_limit_nanos = "team", 0


def member(**limits: Any) -> Callable[[Account], None]:
    return lambda account: set_all(account.memberships[0], limits)


def key(**limits: Any) -> Callable[[Account], None]:
    return lambda account: set_all(db.session.query(ApiKey).filter_by(account_id=account.id).one(), limits)


def with_(**columns: Any) -> Callable[[Account], None]:
    return lambda account: set_all(account, columns)


def plan(**columns: Any) -> Callable[[Account], None]:
    return lambda account: set_all(account.plan, columns)


def set_all(row: Any, columns: dict[str, Any]) -> None:
    for name, value in columns.items():
        setattr(row, name, value() if callable(value) else value)


class Row(NamedTuple):
    """The status, what makes the gateway say it or what is asked for, and the types where they differ."""

    status: int
    arrange: Callable[[Account], object] = id
    asked: Mapping[str, Any] = MappingProxyType({})
    types: tuple[str, str] | None = None


LIMIT = "insufficient_quota", "rate_limit_error"
ONCE = {"extra_headers": {"Idempotency-Key": "once"}}
ROWS = {
    "out_of_credits": Row(402, broke),
    "subscription_unpaid": Row(402, unpaid),
    "request_too_large": Row(402, too_small),
    "daily_limit_reached": Row(429, with_nothing_left_of_the_day, types=LIMIT),
    "window_limit_reached": Row(429, with_nothing_left_of_these_hours, types=LIMIT),
    "member_limit_reached": Row(429, in_a_team, types=LIMIT),
    "key_limit_reached": Row(429, key(total_limit_nanos=1), types=LIMIT),
    "own_limit_reached": Row(429, member(own_limit_nanos=1, own_limit_period="day"), types=LIMIT),
    "absorbed_limit": Row(429, with_much_absorbed, types=LIMIT),
    "spending_paused": Row(429, with_(spending_paused_at=utcnow), types=LIMIT),
    "too_many_calls": Row(429, with_(running_calls=99)),
    "credits_reserved": Row(429, with_(reserved_nanos=100 * CREDIT)),
    "rate_limited": Row(429, lambda _: Setting.put("ratelimit_enabled", True)),
    "recharge_in_progress": Row(503, being_recharged),
    "busy": Row(503, crowded),
    "model_not_found": Row(404, asked={"model": "no-such-model"}),
    "model_not_for_sale": Row(400, unsold),
    "invalid_request": Row(400, asked={"messages": []}),
    "field_not_priced": Row(400, asked={"service_tier": "priority"}),
    "model_not_allowed": Row(403, plan(models=["another"])),
    "api_not_in_plan": Row(403, plan(has_api=False)),
    "plan_inactive": Row(403, plan(status="inactive", is_default=False)),
    "account_frozen": Row(403, lambda account: account.freeze("admin")),
    "email_unverified": Row(403, unverified),
    "not_signed_in": Row(401, key(expires_at=utcnow)),
    "idempotency_key_reused": Row(409, asked=ONCE),
    "provider_error": Row(502, asked={"messages": [{"role": "user", "content": "[[fault:wrong_type]]"}]}),
}
TYPES = {
    400: ("invalid_request_error", "invalid_request_error"), 401: ("invalid_api_key", "authentication_error"),
    402: ("insufficient_quota", "billing_error"), 403: ("permission_error", "permission_error"),
    404: ("invalid_request_error", "not_found_error"), 409: ("invalid_request_error", "invalid_request_error"),
    429: ("rate_limit_exceeded", "rate_limit_error"), 502: ("server_error", "api_error"),
    503: ("server_error", "overloaded_error"),
}  # fmt: skip
CLASSES = {
    400: "BadRequestError", 401: "AuthenticationError", 403: "PermissionDeniedError", 404: "NotFoundError",
    409: "ConflictError", 429: "RateLimitError", 502: "InternalServerError", 503: "InternalServerError",
}  # fmt: skip


@pytest.mark.parametrize("code", ROWS)
def test_a_refusal_is_raised_as_the_packages_know_it(
    code: str,
    program: Callable[..., Program],
    packages: Any,
    session: Database,
    provider: ProviderServer,
    monkeypatch: pytest.MonkeyPatch,
    require_verified_email: Callable[..., None],
    redis_server: RedisServer,
) -> None:
    monkeypatch.setattr(registry.live, "readers", 0)
    require_verified_email()
    secret, row = program("ada", credits=100 * CREDIT).key, ROWS[code]
    row.arrange(session.query(Account).order_by(Account.id.desc()).first())
    session.commit()
    ours, theirs, way = packages(secret)
    if code == "rate_limited":
        ours._client.post("http://127.0.0.1/v1/messages", headers={"x-api-key": secret})
        let_more_have_been_sent(redis_server, 299)
    if row.asked == ONCE:
        ours.chat.completions.create(model=OPENAI_MODEL, messages=HELLO, **ONCE)

    classes = ("APIStatusError", "PaymentRequiredError") if row.status == 402 else (CLASSES[row.status],) * 2
    kinds = row.types or TYPES[row.status]
    for ask, client, name, kind in zip((chat_error, message_error), (ours, theirs), classes, kinds, strict=True):
        way.tries = 0
        error = ask(client, **row.asked)
        assert name in [each.__name__ for each in type(error).__mro__]
        assert (error.status_code, error.type) == (row.status, kind)
        assert (way.tries, error.response.headers["x-should-retry"]) == (
            (3, "true") if code in PASSING else (1, "false")
        )
        check_told(code, row.status, error)


def check_told(code: str, status: int, error: Any) -> None:
    """Our code, our words, and how long to wait."""
    told, headers = error.body.get("error", error.body), error.response.headers
    assert told["code"] == headers["x-tollgate-code"] == code
    assert len(told["message"]) > 10
    assert told["message"] in str(error)
    assert ("retry-after" in headers) is (status in (429, 503) and code != "spending_paused")
    assert status != 503 or headers["retry-after"] == "3"
    assert error.body.get("request_id", error.request_id) == error.request_id
