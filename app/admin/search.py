"""One search over the whole business: accounts, people, payments, events, calls. A single match is opened at once."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from flask import redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_admin import expose
from sqlalchemy import or_, select

from app.admin.cell_formats import moment, money_text
from app.admin.cell_links import ACCOUNT_NAME, accounts_matching
from app.admin.model_view import AdminPage
from app.extensions import db
from app.models.base import row_id
from app.models.billing.payment import Payment
from app.models.identity.account import Account
from app.models.identity.user import User
from app.models.metering.usage import Usage
from app.models.operations.webhook_event import StripeEvent
from app.models.search import contains

MOST = 20
LONGEST = 200


@dataclass(frozen=True, slots=True)
class Match:
    kind: str
    title: str
    details: str
    address: str


class SearchPage(AdminPage):
    """Hidden in the menu; the form stands on top of every page."""

    def is_visible(self) -> bool:
        return False

    @expose("/")
    def index(self) -> ResponseReturnValue:
        typed = request.args.get("q", "").replace("\x00", "").strip()[:LONGEST]
        matches = list(all_matching(typed)) if typed else []
        if len(matches) == 1:
            return redirect(matches[0].address)
        return self.render("admin/search.html", typed=typed, matches=matches)


def all_matching(typed: str) -> Iterator[Match]:
    for account, name in newest(Account, accounts_matching(typed), ACCOUNT_NAME):
        yield match("Account", account, "account", name or "", f"number {account.id}, {account.plan.name}")
    for (person,) in newest(User, or_(contains(User.email, typed), contains(User.name, typed))):
        yield match("Person", person, "user", person.email, person.name)
    number = row_id(typed)
    columns = (
        Payment.stripe_payment_intent_id,
        Payment.stripe_invoice_id,
        Payment.stripe_session_id,
        Payment.number,
    )
    for (payment,) in newest(Payment, or_(Payment.id == number, *(column == typed for column in columns))):
        details = f"{money_text(payment.price_cents)}, {payment.state}, {moment(payment.created_at)}"
        yield match("Payment", payment, "payment", payment.number or f"Payment {payment.id}", details)
    for (event,) in newest(StripeEvent, StripeEvent.stripe_id == typed):
        yield match("Event", event, "event", event.type, f"{event.state}, {moment(event.created_at)}")
    for (call,) in newest(Usage, Usage.id == number):
        yield match("Call", call, "usage", f"Call {call.id}", f"{call.model}, {moment(call.created_at)}")


def newest(table: Any, condition: Any, *more: Any) -> list[Any]:
    return list(db.session.execute(select(table, *more).where(condition).order_by(table.id.desc()).limit(MOST)))


def match(kind: str, row: Any, endpoint: str, title: str, details: str) -> Match:
    return Match(kind, title, details, url_for(f"{endpoint}.details_view", id=row.id))
