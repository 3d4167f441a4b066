"""Stripe events, payments (parked ones with their ways out) and sent mails."""

from pathlib import Path
from typing import Any, ClassVar

from flask.typing import ResponseReturnValue
from flask_admin import expose
from flask_admin.contrib.sqla.filters import FilterEqual, FilterLike

from app.admin.access import owners_only
from app.admin.cell_formats import shown
from app.admin.cell_links import AccountFilter
from app.admin.ledger_views import ReadOnlyTable
from app.extensions import db
from app.jobs import commit, rollback
from app.mailer import ring_after_commit
from app.models.base import utcnow
from app.models.billing.payment import Payment
from app.models.billing.payment_errors import Mismatch, PaymentsNotSetUp, Rejected, UnknownOutcome
from app.models.operations.outbox import OutgoingMail
from app.models.operations.webhook_event import StripeEvent
from app.payments.session_sync import sync_session
from app.payments.sync import sync_invoice, sync_payment
from app.payments.webhook_events import process_again

EVENT_STATES = [(state, state) for state in ("received", "done", "parked", "failed")]
PAYMENT_STATES = [(state, state) for state in ("open", "processing", "paid", "failed", "canceled", "parked")]
MAILS = Path(__file__).parents[1] / "templates" / "mail"
OUTSIDE = (Rejected, UnknownOutcome, PaymentsNotSetUp, Mismatch)


def in_words(template: str) -> str:
    return template.replace("_", " ")


TEMPLATES = [(file.stem, in_words(file.stem)) for file in sorted(MAILS.glob("*.txt"))]


class EventTable(ReadOnlyTable):
    one = "event"
    intro = "Events from Stripe. Processing one again is always safe."
    details_template = "admin/event.html"
    column_list = ("id", "created_at", "type", "state", "attempts", "account_id", "error")
    column_details_list = (*column_list, "stripe_id", "about", "next_try_at", "processed_at")
    column_filters = (
        FilterEqual(StripeEvent.state, "Status", options=EVENT_STATES),
        FilterLike(StripeEvent.type, "Type"),
        AccountFilter(StripeEvent.account_id, "Account"),
    )

    @expose("/again/", methods=("POST",))
    @owners_only
    def again_view(self) -> ResponseReturnValue:
        event = self.row_asked_for()
        self.record("process again", event, changes={"state": [event.state, "received"]})
        process_again(event.id)
        return self.go_back("Processing again.", ".details_view", id=event.id)


class PaymentTable(ReadOnlyTable):
    one = "payment"
    intro = (
        "Customer payments. Needs review: Stripe's report doesn't match our record, so nobody was credited. A note on "
        "a paid one lists what else Stripe sold, which gives no credits."
    )
    details_template = "admin/payment.html"
    column_list = ("id", "created_at", "account_id", "kind", "state", "price_cents", "worth_nanos", "refunded_cents",
                   "review_reason")  # fmt: skip
    column_export_list = (*column_list, "paid_at", "tax_cents", "currency")
    column_details_list = (
        *column_list, "paid_at", "currency", "quantity", "stripe_payment_intent_id", "stripe_session_id",
        "stripe_invoice_id", "number",
    )  # fmt: skip
    column_labels: ClassVar = {
        "price_cents": "Amount", "worth_nanos": "Worth in credits", "review_reason": "To review",
    }  # fmt: skip
    column_filters = (
        FilterEqual(Payment.state, "Status", options=PAYMENT_STATES),
        FilterEqual(
            Payment.kind,
            "Type",
            options=[(kind, kind) for kind in ("pack", "recharge", "invoice", "unknown")],
        ),
        AccountFilter(Payment.account_id, "Account"),
    )

    @expose("/look/", methods=("POST",))
    @owners_only
    def look_view(self) -> ResponseReturnValue:
        """Ask Stripe anew: a parked payment is credited where the figures fit by now."""
        payment = self.row_asked_for()
        text, category = self.look(payment)
        return self.go_back(text, ".details_view", category, id=payment.id)

    def look(self, payment: Payment) -> tuple[str, str]:
        payment_id, before = payment.id, payment.state
        try:
            if payment.stripe_session_id:
                sync_session(payment.stripe_session_id)
            elif payment.stripe_invoice_id:
                sync_invoice(payment.stripe_invoice_id)
            elif payment.stripe_payment_intent_id:
                sync_payment(payment.stripe_payment_intent_id)
            commit()
        except OUTSIDE as error:
            rollback()
            return f"Checked with Stripe; it still doesn't match: {error}", "error"
        payment = db.session.get_one(Payment, payment_id)
        self.record("look at Stripe", payment, changes={"state": [before, payment.state]})
        db.session.commit()
        return f"Checked with Stripe. The payment is {payment.state}.", "success"


class MailTable(ReadOnlyTable):
    one = "mail"
    intro = "Emails, newest first. You can send each one again to the same recipient."
    details_template = "admin/mail.html"
    column_list = ("id", "created_at", "to", "template", "attempts", "sent_at")
    column_labels: ClassVar = {"created_at": "Created", "template": "Email"}
    column_formatters: ClassVar = {"template": shown(in_words)}
    column_details_list = (*column_list, "next_attempt_at")
    column_filters = (FilterLike(OutgoingMail.to, "To"), FilterEqual(OutgoingMail.template, "Email", options=TEMPLATES))

    def title_of(self, row: Any) -> str:
        return f"Email to {row.to}"

    @expose("/again/", methods=("POST",))
    def again_view(self) -> ResponseReturnValue:
        """Send a mail once more, or try an unsent one again now."""
        mail = self.row_asked_for()
        self.record("send again", mail, changes={"sent": [str(mail.sent_at), "again"]})
        if mail.sent_at is None:
            mail.attempts, mail.next_attempt_at = 0, utcnow()
        else:
            mail = mail.again()
        ring_after_commit(mail)
        db.session.commit()
        return self.go_back("Sending.", ".details_view", id=mail.id)
