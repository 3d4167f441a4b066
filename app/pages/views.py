"""Pages for everybody, and the answers for machines that watch: health, readiness."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from operator import itemgetter
from typing import Any

from flask import Flask, current_app, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnection

from app import jobs
from app.extensions import db
from app.models.catalog.ai_model import AIModel
from app.models.catalog.ordinary_answer import ORDINARY, per_answer
from app.models.catalog.plan import CreditPack, Plan
from app.models.catalog.price import ModelPrice
from app.models.identity.account import Account
from app.models.identity.guest_account import accepts_guests
from app.payments import promotion_codes
from app.providers.base import TokenUsage
from app.web import plan_features, promotion_text
from app.web.access import public
from app.web.blueprints import pages
from app.web.branding import logo_response
from app.web.checkout_limits import note_wrong_code, wrong_codes
from app.web.pricing_page import pricing_context

SAID, MOST_OUTPUT = TokenUsage(uncached_input=41, output=62), 4096
"""The tokens of the sample on the first page."""


def init_app(app: Flask) -> None:
    app.register_blueprint(pages)
    app.jinja_env.filters.update(plan_features.FILTERS | promotion_text.FILTERS)


@pages.get("/")
@public
def index() -> ResponseReturnValue:
    if current_user.is_authenticated:
        return redirect(url_for("chat.show"))
    sample = sample_of(AIModel.for_sale())
    return render_template("index.html", is_open_to_guests=accepts_guests(), sample=sample)


def sample_of(offers: Sequence[tuple[AIModel, ModelPrice]]) -> dict[str, Any] | None:
    """Of the conversation on the first page: an answer of the dearest model, the next one by the cheapest, in nanos."""
    charged = sorted(((per_answer(price), model.title, price.rates) for model, price in offers), key=itemgetter(0, 1))
    if not charged:
        return None
    (likely, cheapest, less), (_, dearest, more) = charged[0], charged[-1]
    most = less.most_for(ORDINARY.uncached_input, MOST_OUTPUT)
    return {"model": dearest, "cost": more.cost_of(SAID), "next": cheapest, "likely": likely, "most": most}


@pages.get("/pricing")
@public
@wrong_codes
def pricing() -> str:
    account = current_user.account if current_user.is_authenticated else None
    context = pricing_context(Plan.on_offer(), CreditPack.on_offer(), account)
    return render_template("pricing.html", **context | typed_code(account))


def typed_code(account: Account | None) -> dict[str, Any]:
    """The promotional code of the address, or what is wrong with it."""
    typed = request.args.get("code", "")
    try:
        return {"code": promotion_codes.usable(typed, account) if typed.strip() else None, "code_typed": typed}
    except promotion_codes.WrongCode as wrong:
        note_wrong_code()
        return {"code": None, "code_typed": typed, "code_error": f"This code {wrong.errors['code'][0]}"}


@pages.get("/brand/logo")
@public
def logo() -> ResponseReturnValue:
    """The logo of whose brand the reader is shown: the account's own, or the installation's."""
    return logo_response()


@pages.get("/healthz")
@public
def healthz() -> ResponseReturnValue:
    """The process answers."""
    return jsonify(status="ok")


@pages.get("/readyz")
@public
def readyz() -> ResponseReturnValue:
    """The database and Redis answer; each is named."""
    states = {"database": DATABASE.answers(), "redis": REDIS.answers()}
    is_ready = all(states.values())
    return jsonify(status="ok" if is_ready else "unavailable", **states), 200 if is_ready else 503


def database_answers() -> bool:
    try:
        db.session.execute(text("SELECT 1"))
    except (DBAPIError, NoConnection):
        return False
    return True


class Probe:
    """A question to a store, answered within `PATIENCE`: who does not answer by then is not ready."""

    def __init__(self, ask: Callable[[], bool]) -> None:
        self.ask = ask
        self.lock = threading.Lock()
        self.running: Future[bool] | None = None

    def answers(self) -> bool:
        app = current_app._get_current_object()  # type: ignore[attr-defined]
        with self.lock:
            if self.running is None or self.running.done():
                self.running = PROBES.submit(self._asked, app)
            running = self.running
        try:
            return running.result(PATIENCE)
        except TimeoutError:
            return False

    def _asked(self, app: Flask) -> bool:
        with app.app_context():
            return self.ask()


PATIENCE = 0.9
PROBES = ThreadPoolExecutor(2, thread_name_prefix="probe")
"""One thread for each store: one that hangs keeps its own busy."""

DATABASE, REDIS = Probe(database_answers), Probe(jobs.is_reachable)
