"""Mails: written down in the transaction that they tell of, sent by a worker after its commit.

`mailer.post("declined:7", address, "recharge_declined", pack="5,000 credits")` in a transaction is all that a view
does. The templates are in `mail/<template>.txt`; `mail_message.py` says what they may hold.
"""

import logging
from collections.abc import Callable
from smtplib import SMTPException
from typing import Any

from flask import current_app, has_request_context
from flask_mailman import EmailMultiAlternatives
from limits import parse
from sqlalchemy import event
from sqlalchemy.orm import Session

from app.extensions import db, is_over
from app.jobs import ENDS_ALL, JobName, enqueue
from app.mail_message import compose
from app.models.catalog.setting import Setting
from app.models.identity.email_address import mailbox
from app.models.identity.user import User, is_erased
from app.models.operations.outbox import OutgoingMail

Maker = Callable[[OutgoingMail], dict[str, Any] | None]
MAKERS: dict[str, Maker] = {}
OF_A_KIND = parse("10 per hour")
"""How many mails of one template requests may have written to one mailbox, whoever sends them."""

POSTED, COMMITTED = "mails posted", "mails committed"

log = logging.getLogger(__name__)


def post(key: str, to: str, template: str, **context: Any) -> bool:
    """Write a mail down in the running transaction, once for each key; a worker sends it after the commit.

    The context is JSON. False where the key was posted before, or where requests have written too many to the mailbox.
    """
    if has_request_context() and is_flood(template, to):
        log.warning("mail not written: too many", extra={"template": template})
        return False
    user = User.with_email(to)
    user_id = context.get("user_id") or (user.id if user else None)
    mail = OutgoingMail.post(key, to, template, context, user_id=user_id)
    if mail is None:
        return False
    ring_after_commit(mail)
    return True


def is_flood(template: str, to: str) -> bool:
    """Whether that is one too many. Each counts."""
    return bool(Setting.get("ratelimit_enabled")) and is_over(OF_A_KIND, "mail", template, mailbox(to))


def ring_after_commit(mail: OutgoingMail) -> None:
    db.session().info.setdefault(POSTED, []).append(mail.id)


def made_at_sending(template: str) -> Callable[[Maker], Maker]:
    """Have that function complete the context as the mail is sent: for links, whose secrets are stored nowhere.

    Where it returns None there is nothing to send.
    """

    def keep(make: Maker) -> Maker:
        MAKERS[template] = make
        return make

    return keep


def link(endpoint: str, **values: Any) -> str:
    """The whole address of a page, from BASE_URL: never from what a request says."""
    path = current_app.url_map.bind("").build(endpoint, values)
    return f"{current_app.config['BASE_URL']}{path}"


def deliver(mail_id: int) -> None:
    """Send a posted mail, once however often this runs. What fails is tried again by `sweep`, later and later.

    The attempt is counted before it is made: a mail that cannot be written is given up like one that is not taken.
    """
    mail = None if Setting.get("is_paused") else OutgoingMail.claim(mail_id)
    db.session.commit()
    if mail is None:
        return
    context = completed(mail)
    message = compose(mail.to, mail.template, context) if context is not None else None
    db.session.commit()
    if message and not was_taken(message, mail_id):
        return
    db.session.get_one(OutgoingMail, mail_id).mark_sent()
    db.session.commit()


def completed(mail: OutgoingMail) -> dict[str, Any] | None:
    if is_erased(mail.to):
        return None
    made = MAKERS[mail.template](mail) if mail.template in MAKERS else {}
    if made is None:
        return None
    frame = {
        "brand_name": Setting.get("brand_name"),
        "base_url": current_app.config["BASE_URL"],
        "to": mail.to,
        "support_email": Setting.get("support_email"),
    }
    return frame | mail.context | made


def was_taken(message: EmailMultiAlternatives, mail_id: int) -> bool:
    """Hand the mail to the server; no transaction is open meanwhile."""
    try:
        message.send()
    except (SMTPException, OSError) as error:
        log.warning("mail left to the sweeper", extra={"mail": mail_id, "reason": type(error).__name__})
        return False
    return True


def sweep() -> int:
    """Send what is due and was not sent: its job was lost, or the mail server was away. Returns how many."""
    mails = [] if Setting.get("is_paused") else OutgoingMail.due()
    db.session.rollback()
    for mail_id in mails:
        try:
            deliver(mail_id)
        except ENDS_ALL:
            raise
        except Exception:  # those behind it do not wait for its fault
            log.exception("mail not written", extra={"mail": mail_id})
            db.session.rollback()
    return len(mails)


@event.listens_for(db.session, "after_commit")
def remember(session: Session) -> None:
    """Only what the outermost transaction committed is there for a worker to see."""
    if not session.in_nested_transaction():
        session.info[COMMITTED] = session.info.pop(POSTED, [])


@event.listens_for(db.session, "after_transaction_end")
def enqueue_deliveries(session: Session, _transaction: Any) -> None:
    """Once the connection is given back, enqueue a delivery for each mail; the clock finds those that were lost."""
    for mail_id in session.info.pop(COMMITTED, []):
        enqueue(JobName.DELIVER_MAIL, mail_id)


@event.listens_for(db.session, "after_soft_rollback")
def forget(session: Session, _previous: Any) -> None:
    if not session.in_nested_transaction():
        session.info.pop(POSTED, None)
