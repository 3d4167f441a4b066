"""Accounts: the list with search and filters, and one account's whole story on one page."""

from datetime import datetime, timedelta
from typing import Any, ClassVar

from flask import has_request_context, request
from flask.typing import ResponseReturnValue
from flask_admin import expose
from flask_admin.contrib.sqla.filters import BaseSQLAFilter, FilterEqual
from sqlalchemy import exists, select

from app.admin.account_actions import AccountActions
from app.admin.cell_formats import credits_text, sold_title
from app.admin.cell_links import ACCOUNT_NAME, OWNER_EMAIL, accounts_matching
from app.admin.form_fields import FieldError
from app.admin.grants import GrantForm, grant
from app.admin.model_view import AdminTable
from app.extensions import db
from app.models.base import utcnow
from app.models.billing.allowance_refill import next_refill
from app.models.billing.auto_recharge import AutoRecharge
from app.models.billing.ledger import LedgerEntry
from app.models.billing.payment import Payment
from app.models.billing.subscription import UNPAID, Subscription
from app.models.catalog.plan import Plan
from app.models.identity.account import Account
from app.models.identity.guest_account import is_guest_account
from app.models.identity.membership import Membership
from app.models.identity.user import User
from app.models.metering.account_state import AccountState
from app.models.metering.usage import Usage
from app.models.operations.audit_log import AdminChange
from app.models.operations.outbox import OutgoingMail
from app.models.operations.refused_call import RefusedCall
from app.models.operations.webhook_event import StripeEvent
from app.payments.refunds import refundable_cents, refundable_nanos


class StateFilter(BaseSQLAFilter):
    """Accounts in one of the states that an admin looks for."""

    conditions: ClassVar = {
        "frozen": Account.frozen_at.is_not(None),
        "closed": Account.closed_at.is_not(None),
        "debt": Account.credits_nanos < 0,
        "past_due": Account.id.in_(
            select(Subscription.account_id).where(Subscription.status.in_(UNPAID), Subscription.is_running())
        ),
        "paused": Account.id.in_(
            select(AutoRecharge.account_id).where(AutoRecharge.is_on, AutoRecharge.pause_reason != "")
        ),
        "empty": (Account.allowance_nanos == 0) & (Account.credits_nanos <= 0),
    }

    def apply(self, query: Any, value: str, alias: Any = None) -> Any:
        return query.filter(self.conditions[value] if value in self.conditions else is_idle())

    def validate(self, value: str) -> bool:
        return value in self.conditions or value == "idle"

    def operation(self) -> str:
        return "is"


class PlanFilter(FilterEqual):
    """Accounts on a plan; the plans are read when the page is drawn, not when the app starts."""

    def get_options(self, view: Any) -> list[tuple[str, str]]:
        if not has_request_context():
            return []
        named = db.session.execute(select(Plan.id, Plan.name, Plan.status).order_by(Plan.position, Plan.id))
        return [(str(row.id), sold_title(row)) for row in named]

    def clean(self, value: str) -> int:
        return int(value[:18])


def is_idle() -> Any:
    """No call that began within 30 days."""
    since = utcnow() - timedelta(days=30)
    return ~exists().where(Usage.account_id == Account.id, Usage.created_at >= since)


STATES = [
    ("past_due", "past due"), ("frozen", "frozen"), ("debt", "in debt"), ("empty", "used up"),
    ("paused", "auto-recharge paused"), ("idle", "no call in 30 days"), ("closed", "closed"),
]  # fmt: skip


class AccountTable(AccountActions, AdminTable):
    one = "account"
    intro = "Customers' accounts. Balances change only through calls and ledger entries."
    searches = "name, person, email or number"
    can_view_details = True
    details_template = "admin/account.html"
    column_list = ("id", "name", "kind", "owners", "plan.name", "allowance_nanos", "credits_nanos", "frozen_by",
                   "last_call_at", "created_at")  # fmt: skip
    column_export_list = ("id", "name", "kind", "plan.name", "allowance_nanos", "credits_nanos", "created_at")
    column_labels: ClassVar = {"owners": "Owner", "created_at": "Created"}
    column_sortable_list = ("id", "name", "allowance_nanos", "credits_nanos", "created_at")
    column_searchable_list = ("name",)
    column_select_related_list = (Account.plan,)
    column_default_sort = ("id", True)
    column_filters = (
        PlanFilter(Account.plan_id, "Plan", options=[("", "")]),
        FilterEqual(Account.kind, "Kind", options=[("personal", "personal"), ("team", "team"), ("house", "house")]),
        StateFilter(Account.id, "Status", options=STATES),
    )

    def _apply_search(self, query: Any, count_query: Any, joins: Any, count_joins: Any, search: str) -> Any:
        matches = accounts_matching(search.strip())
        count_query = count_query if count_query is None else count_query.filter(matches)
        return query.filter(matches), count_query, joins, count_joins

    def get_list(self, *args: Any, execute: bool = True, **options: Any) -> Any:
        """The page's accounts, with their owners and last calls: one statement more, whatever the number of rows."""
        count, rows = super().get_list(*args, execute=execute, **options)
        if execute:
            known = owners_and_last_calls([account.id for account in rows])
            for account in rows:
                account.owners, account.last_call_at = known[account.id]
        return count, rows

    def title_of(self, row: Account) -> str:
        name = db.session.scalar(select(ACCOUNT_NAME).where(Account.id == row.id))
        return f"Account {row.id}" + (f": {name}" if name else "")

    def render(self, template: str, **context: Any) -> str:
        if template == self.details_template:
            context = {"grant_form": GrantForm(), **story_of(context["model"]), **context}
        return super().render(template, **context)

    @expose("/grant/", methods=("POST",))
    def grant_view(self) -> ResponseReturnValue:
        account, form = self.account_asked_for(), GrantForm(request.form)
        if not form.validate():
            return self.story_again(account, form)
        try:
            entry = grant(
                account.id, amount=form.amount.data or 0, reason=str(form.reason.data), once=str(form.once.data)
            )
        except FieldError as error:
            self.refuse(form, error.field, str(error))
            return self.story_again(account, form)
        db.session.commit()
        amount = form.amount.data or 0
        done = f"{credits_text(abs(amount))} credits {'added' if amount > 0 else 'removed'}."
        return self.back_to(account.id, done if entry else "This was already done.")

    def story_again(self, account: Account, form: GrantForm) -> ResponseReturnValue:
        return self.render(
            self.details_template,
            model=account,
            details_columns=self._details_columns,
            get_value=self.get_detail_value,
            return_url=self.get_url(".index_view"),
            grant_form=form,
        ), 422


def owners_and_last_calls(account_ids: list[int]) -> dict[int, tuple[str, datetime | None]]:
    """The email of each account's first owner, and when it last began a call: one step into the index for each."""
    begun = select(Usage.created_at).where(Usage.account_id == Account.id).correlate(Account)
    newest = begun.order_by(Usage.created_at.desc()).limit(1).scalar_subquery().label("at")
    rows = db.session.execute(select(Account.id, OWNER_EMAIL.label("email"), newest).where(Account.id.in_(account_ids)))
    return {row.id: (row.email or "", row.at) for row in rows}


SHOWN = 20


def story_of(account: Account) -> dict[str, Any]:
    """What the template is handed: members, ledger, calls, changes, newest first."""
    return {
        "balance": AccountState.load(account.id).balance(utcnow()),
        "comes": next_refill(account, utcnow()),
        "members": (members := members_of(account)),
        "mails": mails_about(account, [member.email for member in members]),
        "entries": newest(LedgerEntry, account),
        "calls": newest(Usage, account),
        "refusals": newest(RefusedCall, account),
        "changes": newest(AdminChange, account),
        "payments": newest(Payment, account),
        "events": newest(StripeEvent, account),
        "subscription": Subscription.live_of(account.id),
        "recharge": AutoRecharge.of(account.id),
        "plans": plans_to_move_to(),
        "refundable": refundable_cents,
        "refund_takes": refundable_nanos,
    }


def members_of(account: Account) -> list[Any]:
    query = (
        select(Membership.role, User.id, User.email, User.name, User.email_verified_at, User.disabled_at)
        .join(User, User.id == Membership.user_id)
        .where(Membership.account_id == account.id)
        .order_by(Membership.id)
    )
    return list(db.session.execute(query))


def mails_about(account: Account, addresses: list[str]) -> list[OutgoingMail]:
    """The newest mails to these people about this account; what concerns their other accounts is not its story."""
    about = OutgoingMail.context["account_id"].as_integer() == account.id
    sent = select(OutgoingMail).where(OutgoingMail.to.in_(addresses), about)
    return list(db.session.scalars(sent.order_by(OutgoingMail.id.desc()).limit(SHOWN)))


def newest(kind: type[Any], account: Account) -> list[Any]:
    return list(
        db.session.scalars(select(kind).where(kind.account_id == account.id).order_by(kind.id.desc()).limit(SHOWN))
    )


def plans_to_move_to() -> list[Plan]:
    """Plans that give rights, those that cannot be chosen any more included: an admin may."""
    return list(
        db.session.scalars(
            select(Plan).where(Plan.status != "inactive", ~is_guest_account()).order_by(Plan.position, Plan.id)
        )
    )
