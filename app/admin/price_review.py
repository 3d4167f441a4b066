"""Our price list beside the registry's: differences, their effect, and approval row by row or whole."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from flask import abort, request
from flask.typing import ResponseReturnValue
from flask_admin import expose
from flask_login import current_user
from sqlalchemy import func, select
from sqlalchemy.orm import selectinload

from app.admin.access import owners_only
from app.admin.cell_formats import column_text, moment, money_text, per_million, percent
from app.admin.model_view import AdminPage
from app.catalog import lifecycle, price_import, proposals
from app.catalog.price_import import Finding
from app.extensions import db
from app.models.base import utcnow
from app.models.catalog.ai_model import AIModel
from app.models.catalog.catalog_proposal import NEW_MODEL, CatalogProposal
from app.models.catalog.offers import all_on_offer
from app.models.catalog.price import ModelPrice
from app.models.catalog.price_ahead import PriceAhead, prices_ahead
from app.models.catalog.setting import Setting
from app.models.catalog.worth import BPS, in_cents
from app.models.metering.refusal import PricingError
from app.models.metering.usage_rollup import DailyTotal
from app.models.operations.audit_log import AdminChange

LOOKED_BACK = timedelta(days=30)
BUCKETS = ("uncached_input_nanos", "output_nanos")
A_YEAR = timedelta(days=366)
COMPARED = {"uncached_input_nanos": "Input", "cache_read_nanos": "Cache read", "output_nanos": "Output"}
FIELDS = {
    **{name: f"{text}, per million tokens" for name, text in COMPARED.items()},
    NEW_MODEL: "New model",
    "is_for_sale": "Price",
    "sold_until": "Last day",
}
BUTTONS = {
    NEW_MODEL: ("Add as draft", ""),
    "is_for_sale": ("Take off sale", "Take the model off sale for everybody?"),
    "retire": ("Retire now", "Refuse calls of this model from now on?"),
}
DECIDED = {
    "accepted": "Accepted.",
    "accepted model": "Added as a draft. Check its limits and approve its price, then put it on sale.",
    "dismissed": "Dismissed. It returns if its source changes.",
    "dismissed model": "Dismissed.",
}


@dataclass(frozen=True, slots=True)
class Row:
    """A finding as the page shows it: `figures` are (what, ours, the registry's)."""

    finding: Finding
    figures: list[tuple[str, str, str]]
    effect: str


@dataclass(frozen=True, slots=True)
class Choice:
    """A proposal as the page shows it: what it is of, what its button says, and what is asked before."""

    row: CatalogProposal
    what: str
    button: str
    question: str

    @property
    def ours(self) -> str:
        return plain_dollars(self.row.ours)

    @property
    def theirs(self) -> str:
        return plain_dollars(self.row.theirs)

    @classmethod
    def of(cls, row: CatalogProposal) -> "Choice":
        is_at_once = row.field == "sold_until" and not row.columns["sold_until"]
        kind = "retire" if is_at_once else row.field
        button, question = BUTTONS.get(kind, ("Accept", ""))
        return cls(row, FIELDS.get(row.field, column_text(row.field).capitalize()), button, question)


class RegistryPage(AdminPage):
    @expose("/")
    def index(self) -> str:
        findings = compared()
        use = use_of_models()
        rows = [Row(finding, figures_of(finding), effect_of(finding, use)) for finding in findings]
        same = len(db.session.scalars(select(AIModel.id)).all()) - len({finding.model.id for finding in findings})
        return self.render(
            "admin/registry.html",
            rows=rows,
            same=same,
            endings=lifecycle.endings(),
            ahead=[shown_ahead(change, use) for change in prices_ahead(utcnow(), A_YEAR)],
            proposals=[Choice.of(row) for row in CatalogProposal.waiting()],
            times_of=price_import.times_of,
        )

    @expose("/approve/", methods=("POST",))
    @owners_only
    def approve_view(self) -> ResponseReturnValue:
        """Take over the registry's price for the models that are named, or for all where it replaces its own."""
        names = tuple(request.form.getlist("model"))
        findings = compared(names)
        price_import.propose(findings, names)
        approved = price_import.approve(findings, names)
        for price in approved:
            price.approved_by_id = current_user.user_id
            note(price)
        db.session.commit()
        return self.go_back(
            f"{len(approved)} {'price was' if len(approved) == 1 else 'prices were'} approved.", ".index"
        )

    @expose("/decide/", methods=("POST",))
    @owners_only
    def decide_view(self) -> ResponseReturnValue:
        """Accept what newer data say, or dismiss it."""
        proposal = CatalogProposal.find(request.form.get("id", "")) or abort(404)
        db.session.refresh(proposal, with_for_update=True)
        state = "accepted" if request.form.get("decision") == "accept" else "dismissed"
        try:
            proposals.decide(proposal, state, current_user.user_id)
        except PricingError as fault:
            db.session.rollback()
            return self.go_back(str(fault), ".index", "error")
        db.session.commit()
        return self.go_back(DECIDED[state if proposal.field != NEW_MODEL else f"{state} model"], ".index")

    @expose("/end/", methods=("POST",))
    @owners_only
    def end_view(self) -> ResponseReturnValue:
        """Take over the vendors' last days of the models that are named."""
        names = tuple(request.form.getlist("model"))
        approved = lifecycle.approve(lifecycle.endings(names), names) if names else []
        for ending in approved:
            changes = {"sold_until": [None, f"{ending.sold_until:%Y-%m-%d}"]}
            AdminChange.note(current_user.user_id, "edit", ending.model, changes=changes)
        db.session.commit()
        return self.go_back(
            f"{len(approved)} last {'day was' if len(approved) == 1 else 'days were'} accepted.", ".index"
        )


def plain_dollars(text: str) -> str:
    """A price without the nanos that it does not have: $10, $0.15."""
    return f"${Decimal(text[1:]).normalize():f}" if text.startswith("$") else text


def compared(names: tuple[str, ...] = ()) -> list[Finding]:
    """The differences; all prices are read at once, not model by model."""
    held = db.session.scalars(select(AIModel).options(selectinload(AIModel.prices))).all()
    findings = price_import.compare(utcnow(), names)
    return findings if held else []


def note(price: ModelPrice) -> None:
    changes = {
        "price": [
            None,
            f"{price.model.name} {per_million(price.uncached_input_nanos)} / {per_million(price.output_nanos)}",
        ]
    }
    AdminChange.note(current_user.user_id, "approve", price, changes=changes)


def figures_of(finding: Finding) -> list[tuple[str, str, str]]:
    ours = price_import.figures_of(finding.old) if finding.old else {}
    theirs = finding.new.figures if finding.new else {}
    return [(text, per_million(ours.get(name)), per_million(theirs.get(name))) for name, text in COMPARED.items()]


def shown_ahead(ahead: PriceAhead, use: dict[str, tuple[int, int]]) -> list[str]:
    """A price to come: model, moment, input and output before and after, and what it would have done."""
    pairs = [f"{per_million(getattr(ahead.now, name))} → {per_million(getattr(ahead.then, name))}" for name in BUCKETS]
    now, then = (price_import.figures_of(price) for price in (ahead.now, ahead.then))
    return [ahead.model.name, moment(ahead.begins), *pairs, effect(use.get(ahead.model.name), now, then)]


def use_of_models() -> dict[str, tuple[int, int]]:
    """(input, output) tokens of each model in the last 30 days."""
    since = DailyTotal.day >= (utcnow() - LOOKED_BACK).date()
    sums = func.sum(DailyTotal.input_tokens), func.sum(DailyTotal.output_tokens)
    rows = db.session.execute(select(DailyTotal.model, *sums).where(since).group_by(DailyTotal.model))
    return {name: (int(read), int(written)) for name, read, written in rows}


def effect_of(finding: Finding, use: dict[str, tuple[int, int]]) -> str:
    """What the change would have done to our cost, cached input counted as input; empty where nothing is to be said."""
    if finding.old is None or finding.new is None:
        return ""
    return effect(use.get(finding.model.name), price_import.figures_of(finding.old), finding.new.figures)


def effect(tokens: tuple[int, int] | None, ours: dict[str, int | None], theirs: dict[str, int | None]) -> str:
    if tokens is None:
        return ""
    nanos = cost_nanos(tokens, theirs) - cost_nanos(tokens, ours)
    cents = in_cents(nanos)
    return (
        f"about {'+' if cents >= 0 else ''}{money_text(cents)} of cost on the last 30 days' use, off the margin"
        if nanos
        else ""
    )


A_MILLION_EACH = (1_000_000, 1_000_000)


def price_alarms() -> list[str]:
    """One for each model on sale that would leave less than the floor at its vendor's price of now."""
    margins = [sold.margin_bps for sold in all_on_offer() if sold.price_cents]
    if not margins:
        return []
    use = use_of_models()
    return [text for finding in compared() for text in alarm_of(finding, min(margins), use)]


def alarm_of(finding: Finding, margin: int, use: dict[str, tuple[int, int]]) -> Iterator[str]:
    """Credits are sold at our price: what a vendor takes beyond it comes off the margin at which they were sold."""
    is_now = finding.kind != "future" and finding.model.is_for_sale
    if finding.old is None or finding.new is None or not is_now:
        return
    tokens = use.get(finding.model.name, A_MILLION_EACH)
    ours = cost_nanos(tokens, price_import.figures_of(finding.old))
    theirs = cost_nanos(tokens, finding.new.figures)
    left = BPS - theirs * (BPS - margin) // ours if ours else 0
    if theirs > ours and (left < 0 or left < Setting.get("margin_floor")):
        yield (
            f"{finding.model.name}: its vendor charges {theirs * 100 // max(1, ours)}% of your price, "
            f"which leaves a margin of {percent(left)} on what its buyers paid. Approve the new price or raise yours."
        )


def cost_nanos(tokens: tuple[int, int], figures: dict[str, int | None]) -> int:
    """What so many tokens, input and output, cost at prices for a million."""
    return sum(count * (figures[bucket] or 0) for count, bucket in zip(tokens, BUCKETS, strict=True)) // 1_000_000
