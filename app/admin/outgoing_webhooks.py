"""The webhooks that the installation is sent, about all accounts; what was sent, and "send again"."""

from flask import abort, flash, redirect, request
from flask.typing import ResponseReturnValue
from flask_admin import expose

from app.admin.access import is_owner, owners_only
from app.admin.model_view import AdminPage
from app.extensions import db
from app.models.metering.refusal import InvalidRequest
from app.models.operations.outgoing_webhook import EVENTS, WebhookDelivery, WebhookEndpoint
from app.web.shown_once import keep_to_show, shown_once


class WebhookPage(AdminPage):
    def is_visible(self) -> bool:
        return is_owner()

    @expose("/")
    @owners_only
    def index(self) -> ResponseReturnValue:
        return self.page()

    def page(self, typed: str = "") -> str:
        shown = {"endpoints": WebhookEndpoint.of(None), "events": EVENTS, "new_secret": shown_once()}
        return self.render("admin/webhooks.html", typed=typed, **shown)

    @expose("/add/", methods=("POST",))
    @owners_only
    def add_view(self) -> ResponseReturnValue:
        typed = request.form.get("url", "")
        try:
            endpoint, secret = WebhookEndpoint.make(None, typed)
        except InvalidRequest as error:
            flash(f"The address {' '.join(error.errors['url'])}", "error")
            return self.page(typed), 422
        self.record("webhook added", endpoint, changes={"url": [None, endpoint.url]})
        db.session.commit()
        keep_to_show(secret)
        return redirect(self.get_url(".index"))

    @expose("/rotate/", methods=("POST",))
    @owners_only
    def rotate_view(self) -> ResponseReturnValue:
        endpoint = own_endpoint()
        secret = endpoint.rotate()
        self.record("webhook's secret rotated", endpoint)
        db.session.commit()
        keep_to_show(secret)
        return redirect(self.get_url(".index"))

    @expose("/remove/", methods=("POST",))
    @owners_only
    def remove_view(self) -> ResponseReturnValue:
        endpoint = own_endpoint()
        endpoint.remove()
        self.record("webhook removed", endpoint)
        db.session.commit()
        return redirect(self.get_url(".index"))

    @expose("/again/", methods=("POST",))
    @owners_only
    def again_view(self) -> ResponseReturnValue:
        delivery = WebhookDelivery.of_account(None, request.form.get("id", "")) or abort(404)
        self.record("send again", delivery, changes={"sent": [delivery.outcome, "again"]})
        delivery.again()
        db.session.commit()
        return self.go_back("It will be sent again within seconds.", ".index")


def own_endpoint() -> WebhookEndpoint:
    return WebhookEndpoint.find(request.form.get("id", ""), account_id=None, removed_at=None) or abort(404)
