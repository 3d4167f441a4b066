"""Mails about an account's spending: alerts, and pauses of the breaker."""

from datetime import datetime

from app import mailer
from app.models.base import credits_figure, credits_string, credits_text
from app.models.identity.account import Account
from app.models.metering.account_state import AccountState
from app.models.metering.alerts import due_alerts, is_unusual
from app.models.metering.balance import window_ends
from app.models.metering.breaker import write_down
from app.models.metering.spending import SpendingPause
from app.models.operations.outgoing_webhook import WebhookDelivery
from app.notifications.recipients import owner
from app.web.formatting import counted, pause_text

ALERT_EVENTS = {"low_balance": "balance.low", "daily_limit": "limit.reached", "window_limit": "limit.reached"}


def of_alerts(account: Account, at: datetime) -> None:
    """What the owner chose to be told of, each once a day at most."""
    if is_unusual(AccountState.load(account.id), at):
        write_down(account.id, at)
    account_state = AccountState.load(account.id)
    balance = account_state.balance(at)
    everything, today = balance.allowance + balance.credits, balance.day_rest + balance.credits
    plan = {"plan": account_state.plan_name, "allows_packs": account.plan.allows_packs}
    context = {
        "low_balance": {
            "credits": credits_figure(everything),
            "today": credits_figure(today) if today < everything else "",
        },
        "daily_limit": {"limit": credits_figure(account_state.daily_limit or 0), **plan},
        "window_limit": {
            "limit": credits_figure(account_state.window_limit or 0),
            "hours": counted(account_state.window_hours or 24, "hour"),
            **plan,
            "resets_at": f"{window_ends(at, account_state.window_hours or 24):%H:%M}",
        },
        "unusual_spending": {
            "spent": credits_text(account_state.spent_on(at)),
            "bar": credits_text(account_state.bars[1]),
            "link": mailer.link("billing.breaker"),
        },
    }
    for alert in sorted(due_alerts(account_state, at)):
        if alert in ALERT_EVENTS:
            figures = {"available_credits": credits_string(balance.available)}
            key = f"{ALERT_EVENTS[alert]}:{account.id}:{at:%Y-%m-%d}"
            WebhookDelivery.post(account.id, key, ALERT_EVENTS[alert], **figures)
        owner(account, f"{alert}:{at:%Y-%m-%d}", alert, **context[alert])


def of_spending_pause(pause: SpendingPause) -> None:
    """To every owner and admin of the account, who may resume; the link leads to the page, and resumes nothing."""
    told = {"key_id": str(pause.api_key_id) if pause.api_key_id else None, "period": pause.period}
    told |= {"spent_credits": credits_string(pause.spent_nanos), "bar_credits": credits_string(pause.bar_nanos)}
    told |= {"model": pause.model}
    WebhookDelivery.post(pause.account_id, f"breaker:{pause.id}", "breaker.tripped", **told)
    for member in pause.account.memberships:
        if member.can_manage:
            mailer.post(
                f"spending_paused:{pause.id}:{member.user_id}",
                member.user.email,
                "spending_paused",
                account_name=pause.account.title,
                figures=pause_text(pause),
                key_name=pause.api_key.name if pause.api_key else "",
                link=mailer.link("billing.breaker"),
            )
