"""How money, times and words become text: the only way to the page for any of them."""

import time
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal

from babel.core import Locale, get_global, parse_locale
from babel.dates import format_date, format_datetime, format_skeleton
from babel.localedata import exists
from babel.numbers import format_currency, format_decimal
from flask import Flask, g, request
from markupsafe import Markup
from sqlalchemy import select

from app.extensions import db
from app.models.base import NANOS_PER_CREDIT, credits_figure, credits_string, credits_text, grouped
from app.models.catalog.ai_model import AIModel
from app.models.catalog.currency import decimals, major
from app.models.catalog.operation import Operation
from app.models.catalog.ordinary_answer import per_answer
from app.models.catalog.worth import currency as sold_in
from app.models.metering.call_ending import finish_note
from app.models.metering.cost_explanation import Explanation
from app.models.metering.spending import SpendingPause
from app.models.metering.usage import Usage
from app.web.answer_html import render_answer
from app.web.markdown import SECONDS

LOCALE = "en_US"
SECONDS_OF_A_PAGE = 5.0
FURTHEST_BEHIND_UTC = timedelta(hours=12)
BROWSERS = {"Edg/": "Edge", "OPR/": "Opera", "Firefox/": "Firefox", "Chrome/": "Chrome", "Safari/": "Safari"}
SYSTEMS = {
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Android": "Android",
    "Windows": "Windows",
    "Mac OS X": "Mac",
    "Linux": "Linux",
}


def init_filters(app: Flask) -> None:
    app.jinja_env.filters.update(FILTERS)


def credits_exact(nanos: int) -> str:
    """Nanos as credits to the last nano, for receipts and ledgers: 1,234.567891."""
    return grouped(Decimal(nanos) / NANOS_PER_CREDIT)


def credits_field(nanos: int | None) -> str:
    """Credits as they stand in a field, to the last nano and without commas; empty where there is no amount."""
    return "" if nanos is None else credits_string(nanos)


def credits_change(nanos: int) -> str:
    """A difference of a balance, exact and with its sign: +5,000 or -6.25."""
    return ("+" if nanos > 0 else "") + credits_exact(nanos)


def line_credits(line: Mapping[str, int]) -> str:
    """What a line of a receipt comes to, unrounded: `quantity` at `price_nanos` for `per`."""
    return grouped(Decimal(line["quantity"] * line["price_nanos"]) / (line["per"] * NANOS_PER_CREDIT))


def money_text(cents: int, currency: str | None = None) -> str:
    """An amount of money in the smallest unit of its currency, else of the installation's: $20.00."""
    currency = currency or sold_in()
    pattern = "¤#,##0" + (f".{'0' * decimals(currency)}" if decimals(currency) else "")
    amount = major(cents, currency)
    return format_currency(amount, currency.upper(), format=pattern, locale=LOCALE, currency_digits=False)


def price(cents: int, currency: str | None = None) -> str:
    """Money on a price tag: $20, or $9.50 where there are cents."""
    currency = currency or sold_in()
    amount = major(cents, currency)
    if amount != amount.to_integral():
        return money_text(cents, currency)
    return format_currency(amount, currency.upper(), format="¤#,##0", locale=LOCALE, currency_digits=False)


def percent(basis_points: int) -> str:
    """50% of 5,000 basis points."""
    return f"{grouped(Decimal(basis_points) / 100)}%"


def number(count: int) -> str:
    """A count with thousands separators."""
    return format_decimal(count, locale=LOCALE)


def roughly(count: int) -> str:
    """A count to two figures: 4,800 of 4,761."""
    return number(round(count, 2 - len(str(abs(count)))))


def counted(count: int, noun: str) -> str:
    """So many of what has a plain plural: 1 image, 1,200 images."""
    return f"{number(count)} {noun}" if count == 1 else f"{number(count)} {noun}s"


def short_number(count: int) -> str:
    """A size at a glance: 128K, 1M."""
    if count >= 1_000_000:
        return f"{grouped((Decimal(count) / 1_000_000).quantize(Decimal('0.1')))}M"
    return f"{count // 1000}K" if count >= 1000 else str(count)


def datetime_text(moment: datetime | None) -> str:
    """A moment for mails and files: 21 November 2026, 03:01 UTC."""
    return f"{format_datetime(moment, 'd MMMM yyyy, HH:mm', locale=LOCALE)} UTC" if moment else ""


def datetime_markup(moment: datetime | None) -> Markup:
    """A moment in UTC, which the page's script turns into the reader's own time."""
    return time_element(moment, "datetime", "")


def when_markup(moment: datetime | None) -> Markup:
    """A moment within a sentence; the script says "tomorrow at 01:00"."""
    return time_element(moment, "when", "on ")


def time_element(moment: datetime | None, kind: str, preposition: str) -> Markup:
    if moment is None:
        return Markup("")
    stamp = moment.isoformat().replace("+00:00", "Z")
    text = reader_date(moment) if kind == "date" else datetime_text(moment)
    return Markup('<time datetime="{}" data-local="{}">{}{}</time>').format(stamp, kind, preposition, text)


def date_markup(day: date | datetime | None) -> Markup | str:
    """The day of a moment by the reader's own clock; a day that is one already stays what it is."""
    return time_element(day, "date", "") if isinstance(day, datetime) else reader_date(day)


def deadline(moment: datetime) -> str:
    """The day before which something must be done, wherever its reader is: nobody's clock is behind UTC by more."""
    return reader_date(moment - FURTHEST_BEHIND_UTC)


def date_text(day: date | datetime | None) -> str:
    """A day for mails and files: 21 November 2026."""
    return format_date(day, "d MMMM yyyy", locale=LOCALE) if day else ""


def reader_date(day: date | datetime | None) -> str:
    """A day as the reader's region writes it, as the script does with moments: November 21, 2026 for Americans."""
    return format_date(day, "long", locale=english_of_reader()) if day else ""


def english_of_reader() -> Locale:
    """By the browser's first language; without one, as mails write."""
    language = (request.accept_languages.best if request else None) or ""
    try:
        parts = parse_locale(get_global("likely_subtags").get(language, language).replace("-", "_"))
    except ValueError:
        return Locale("en", "GB")
    return Locale("en", parts[1]) if exists(f"en_{parts[1]}") else Locale("en")


def day_and_month(day: date) -> str:
    """A day that is near: 28 December."""
    return str(format_skeleton("MMMMd", day, locale=english_of_reader()))


def month_name(day: date) -> str:
    """November 2026."""
    return format_date(day, "LLLL yyyy", locale=LOCALE)


def day_text(day: date) -> str:
    """A day on the axis of a chart: 21 Nov."""
    return str(format_skeleton("MMMd", day, locale=english_of_reader()))


def browser(user_agent: str) -> str:
    """A browser by the name that its owner knows: Firefox on Windows."""
    name = next((shown for mark, shown in BROWSERS.items() if mark in user_agent), "A browser")
    system = next((shown for mark, shown in SYSTEMS.items() if mark in user_agent), "")
    return f"{name} on {system}" if system else name


def pause_text(pause: SpendingPause) -> str:
    """What paused, in figures: In 6 minutes as much as in 3 usual days: 1,240 credits by key "nightly", 96% m."""
    spent, minutes = pause.spent_nanos + pause.reserved_nanos, pause.minutes
    took = "In a minute" if minutes == 1 else f"In {minutes:,} minutes"
    days = round(spent / pause.usual_nanos) if pause.usual_nanos else 0
    as_much = f" as much as in {days:,} usual days" if days > 1 else ""
    by = f' by key "{pause.api_key.name}"' if pause.api_key else ""
    model = f", {pause.model_percent}% of it {pause.model}" if pause.model else ""
    return f"{took}{as_much}: {credits_text(spent)}{by}{model}."


def markdown(text: str | None) -> Markup:
    """Markdown of a model, rendered and sanitised. All texts of a page share its time: what comes later is plain."""
    left, began = g.get("seconds_of_markdown", SECONDS_OF_A_PAGE), time.thread_time()
    html = render_answer(text or "", min(left, SECONDS))
    g.seconds_of_markdown = max(0.0, left - time.thread_time() + began)
    return Markup(html)  # noqa: S704  # nosec B704 - the sanitiser's own output


def share(part: int, whole: int) -> int:
    """The part as whole percent between 0 and 100, for the length of a bar."""
    return max(0, min(100, part * 100 // whole)) if whole > 0 else 0


def left_out_note(number: int) -> str:
    """That earlier messages no longer fit into what the model reads."""
    first = "message" if number == 1 else f"{number:,} messages"
    return f"The first {first} no longer fit in the model's context window."


def note_of_end(call: Usage, has_text: bool = True) -> str | None:
    return finish_note(call.finish_reason, has_text=has_text, is_shortened=call.shortened_from is not None)


def fallback_note(asked: str, answered: str) -> str:
    """That another model took the place of the one that was asked."""
    return f"{model_title(asked)} didn't answer, so {model_title(answered)} did."


def explanation_text(why: Explanation) -> str:
    """What a call's cost is made of: 82% of it is the earlier conversation, about 3,100 tokens, sent again; ..."""
    said = EXPLAINED[why.part].format(percent=f"{why.percent}%", tokens=number(why.tokens))
    if why.new_chat_nanos is None:
        return f"{said}."
    return f"{said}; as long an answer in a new chat would have cost about {credits_text(why.new_chat_nanos)}."


EXPLAINED = {
    "earlier": "{percent} of it is the earlier conversation, about {tokens} tokens, sent again",
    "input": "{percent} of it is what was sent: about {tokens} tokens of instructions, question and files",
    "output": "{percent} of it is the answer: {tokens} tokens, thinking included",
}


def model_title(name: str) -> str:
    """What people call a model; the titles are read once a request."""
    if "model_titles" not in g:
        rows = db.session.execute(select(AIModel.name, AIModel.title))
        g.model_titles = {row.name: row.title for row in rows}
    return str(g.model_titles.get(name, name))


def operation_title(name: str) -> str:
    """What people call an operation; one that was never added is called by its id."""
    operation = Operation.all().get(name)
    return operation.title if operation else name.replace("_", " ").capitalize()


FILTERS = {
    "operation": operation_title,
    "pause": pause_text,
    "model_title": model_title,
    "left_out_note": left_out_note,
    "finish_note": note_of_end,
    "fallback_note": fallback_note,
    "explanation": explanation_text,
    "credits": credits_figure,
    "credits_exact": credits_exact,
    "credits_change": credits_change,
    "credits_field": credits_field,
    "credits_text": credits_text,
    "line_credits": line_credits,
    "money": money_text,
    "digits": decimals,
    "major": lambda cents, currency=None: f"{major(cents, currency or sold_in()):f}",
    "price": price,
    "percent": percent,
    "number": number,
    "roughly": roughly,
    "short_number": short_number,
    "datetime": datetime_markup,
    "datetime_text": datetime_text,
    "when": when_markup,
    "date": date_markup,
    "month_name": month_name,
    "day": day_text,
    "browser": browser,
    "markdown": markdown,
    "share": share,
    "per_answer": per_answer,
}
