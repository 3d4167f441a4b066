"""billing-rules.md as plain arithmetic on integers: what every figure of one personal account must be."""

from calendar import monthrange
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

from tests.histories.records import Call, Charge, Offer, Recharging, Sale, Term

OVERDRAFT = ABSORBED_DAILY = 50_000_000
FLOOR = 256
SECOND = timedelta(seconds=1)
WAITS = (timedelta(hours=1), timedelta(hours=6), timedelta(hours=24))


def anniversary_after(start: datetime, months: int) -> datetime:
    year, month = divmod(start.year * 12 + start.month - 1 + months, 12)
    return start.replace(year=year, month=month + 1, day=min(start.day, monthrange(year, month + 1)[1]))


def half_up(numerator: int, denominator: int) -> int:
    return (2 * numerator + denominator) // (2 * denominator)


@dataclass
class Book:
    """One account. Every method takes the moment at which it happens."""

    offer: Offer
    free: Offer
    created: datetime
    period_end: datetime
    last_day: date
    now: datetime
    allowance: int = 0
    credits: int = 0
    daily_limit: int | None = None
    used_today: int = 0
    window: tuple[int, int] | None = None
    window_begun: datetime | None = None
    used_in_window: int = 0
    absorbed_today: int = 0
    calls: dict[int, Call] = field(default_factory=dict)
    months: set[str] = field(default_factory=set)
    term: Term | None = None
    sales: dict[str, Sale] = field(default_factory=dict)
    subscriptions: int = 0
    ended: dict[int, int] = field(default_factory=dict)
    recharging: Recharging | None = None
    charges: list[Charge] = field(default_factory=list)

    @property
    def reserved(self) -> int:
        return sum(call.ceiling for call in self.calls.values())

    def day_rest(self) -> int:
        limit = self.daily_limit
        return self.allowance if limit is None else min(self.allowance, max(0, limit - self.used))

    def begun_window(self, at: datetime) -> datetime | None:
        """Windows of so many hours follow each other from midnight."""
        if self.window is None:
            return None
        midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
        hours = (at - midnight) // timedelta(hours=self.window[0]) * self.window[0]
        return midnight + timedelta(hours=hours)

    def usable(self) -> int:
        """Of the allowance, within the day's limit and the window's."""
        begun = self.begun_window(self.now)
        if self.window is None or begun is None:
            return self.day_rest()
        is_same = self.window_begun is not None and self.window_begun >= begun
        used = self.used_in_window if is_same else 0
        return min(self.day_rest(), max(0, self.window[1] - used))

    def available(self) -> int:
        return self.usable() + self.credits - self.reserved

    @property
    def is_frozen(self) -> bool:
        return any(sale.is_disputed for sale in self.sales.values())

    @property
    def used(self) -> int:
        """What the allowance paid today."""
        return self.used_today if self.last_day >= self.now.date() else 0

    @property
    def absorbed(self) -> int:
        return self.absorbed_today if self.last_day >= self.now.date() else 0

    def begin_day(self) -> None:
        """The first call of a day finds nothing used; a clock that is put back begins no day again."""
        self.used_today, self.absorbed_today = self.used, self.absorbed
        self.last_day = max(self.last_day, self.now.date())
        begun = self.begun_window(self.now)
        if begun is not None and (self.window_begun is None or begun > self.window_begun):
            self.window_begun, self.used_in_window = begun, 0

    def roll_over(self, now: datetime) -> None:
        """The gate: a free plan's month, once for each month that it states."""
        if now < self.period_end or self.term is not None:
            return
        months = 0
        while anniversary_after(self.created, months + 1) <= now:
            months += 1
        self.period_end = anniversary_after(self.created, months + 1)
        month = f"{anniversary_after(self.created, months):%Y-%m}"
        if month not in self.months:
            self.months.add(month)
            self.refill(self.offer)

    def refill(self, offer: Offer) -> None:
        """The allowance is set, with the daily limit that comes with it, then repays a debt as far as it goes."""
        self.allowance, self.daily_limit, self.window = offer.allowance, offer.daily_limit, offer.window
        repaid = min(self.allowance, max(0, -self.credits))
        self.allowance -= repaid
        self.credits += repaid

    def refusal(self, now: datetime) -> str | None:
        """Why nothing may begin, the first reason in the order of billing-rules.md 6."""
        if self.is_frozen:
            return "account_frozen"
        if len(self.calls) >= self.offer.calls_at_once:
            return "too_many_calls"
        return "absorbed_limit" if self.absorbed > self.most_absorbed(now) else self.without_funds(now)

    def most_absorbed(self, now: datetime) -> int:
        """The setting, or 5 % of what was paid in the last 30 days."""
        lately = (sale for sale in self.sales.values() if sale.paid_at > now - timedelta(days=30))
        paid = sum(sale.price_cents - sale.refunded_cents for sale in lately)
        return max(ABSORBED_DAILY, paid * 10_000_000 * 5 // 100)

    def without_funds(self, now: datetime) -> str | None:
        if self.available() > 0:
            return None
        reasons = {
            "recharge_in_progress": self.is_recharging(now),
            "credits_reserved": self.available() + self.reserved > 0,
            "daily_limit_reached": self.allowance > 0 and self.day_rest() == 0 and self.credits <= 0,
            "window_limit_reached": self.allowance > 0 and self.usable() == 0 and self.credits <= 0,
            "subscription_unpaid": self.term is not None and self.term.is_past_due,
            "out_of_credits": True,
        }
        return next(code for code, holds in reasons.items() if holds)

    def affordable_output(self, input_nanos: int, output_price: int, wanted: int) -> int:
        """How many output tokens may be asked for; below the floor the call is refused. Nanos per token."""
        return min(wanted, (self.available() + OVERDRAFT - input_nanos) // output_price)

    def settle(
        self, number: int, cost: int, *, is_paid: bool, is_of_sender: bool, now: datetime
    ) -> tuple[int, int, int]:
        """Today's rest, credits to 0, the rest of the allowance, then debt; what is beyond is absorbed."""
        self.roll_over(now)
        self.begin_day()
        call = self.calls.pop(number)
        due = min(cost, call.ceiling) if is_paid else 0
        within = min(due, self.usable())
        from_credits = min(due - within, max(0, self.credits))
        from_rest = min(due - within - from_credits, self.allowance - within)
        debt = min(due - within - from_credits - from_rest, max(0, OVERDRAFT + min(0, self.credits)))
        paid = within + from_rest, from_credits + debt
        self.allowance -= paid[0]
        self.credits -= paid[1]
        self.used_today += paid[0] if call.began == now.date() else 0
        is_counted = self.window is not None and call.moment >= self.window_begun
        self.used_in_window += paid[0] if is_counted else 0
        self.absorbed_today += cost if is_of_sender else 0
        return *paid, cost - sum(paid)

    def begin_period(self, key: str, offer: Offer, start: datetime, end: datetime) -> None:
        """A period's invoice is paid: the refill, or an addition where a newer period's was paid before."""
        self.sales[key] = Sale(offer.allowance, offer.price_cents, self.now, is_invoice=True, of=self.subscriptions)
        self.months.add(f"{start:%Y-%m}")
        if self.term is not None and self.term.start > start:
            self.allowance += offer.allowance
            return
        self.refill(offer)
        self.ended.pop(self.subscriptions, None)
        self.term = Term(start, end, offer.allowance)
        self.offer, self.period_end = offer, end

    def upgrade(self, key: str, offer: Offer, cents: int, now: datetime) -> None:
        """(new worth - what was last refilled) x the fraction of the period that is left."""
        assert self.term is not None
        whole, left = self.term.end - self.term.start, self.term.end - now
        growth = half_up(max(0, offer.allowance - self.term.level) * (left // SECOND), whole // SECOND)
        self.sales[key] = Sale(growth, cents, self.now, is_invoice=True, of=self.subscriptions)
        self.allowance += growth
        self.term.level, self.offer = max(self.term.level, offer.allowance), offer

    def end_subscription(self, now: datetime) -> None:
        """Back to the default plan at once; what is left of the allowance goes, bought credits stay."""
        if self.allowance:
            self.ended[self.subscriptions] = self.allowance
        self.term, self.allowance = None, 0
        self.offer, self.period_end = self.free, now
        self.roll_over(now)

    def come_back(self, now: datetime) -> None:
        """The rights ended and came back in one moment: so does what is left, within the period that was paid."""
        term, offer, left = self.term, self.offer, self.allowance
        assert term is not None
        self.end_subscription(now)
        self.term, self.offer = term, offer
        if not term.start <= now < term.end:
            return
        self.period_end = term.end
        if left:
            self.ended.pop(self.subscriptions)
            self.refill(replace(offer, allowance=max(left, self.allowance)))

    def buy(self, key: str, worth: int, cents: int) -> None:
        self.credits += worth
        self.sales[key] = Sale(worth, cents, self.now, is_invoice=False)

    def refund(self, key: str, cents: int) -> None:
        """`cents` more were refunded of a payment (fewer, where one failed); a dispute holds what no refund has."""
        sale = self.sales[key]
        before, sale.refunded_cents = sale.taken, sale.refunded_cents + cents
        sale.refunds = half_up(sale.worth * sale.refunded_cents, sale.price_cents)
        sale.dispute = sale.worth - sale.refunds if sale.is_disputed else 0
        self.take(sale, sale.taken - before)

    def dispute(self, key: str) -> None:
        sale = self.sales[key]
        before, sale.dispute = sale.taken, sale.worth - sale.refunds
        sale.is_disputed = True
        self.take(sale, sale.taken - before)

    def win(self, key: str) -> None:
        sale = self.sales[key]
        before, sale.dispute, sale.is_disputed = sale.taken, 0, False
        self.take(sale, sale.taken - before)

    def take(self, sale: Sale, nanos: int) -> None:
        """An invoice's from what ended, then from the allowance; given back in reverse: credits, allowance, nothing."""
        if nanos >= 0:
            gone = min(nanos, self.left_of_ended(sale))
            part = min(nanos - gone, self.allowance) if sale.is_invoice else 0
        else:
            from_credits = sale.taken - nanos - sale.from_allowance - sale.from_ended
            part = -min(sale.from_allowance, max(0, -nanos - from_credits))
            gone = nanos + min(-nanos, from_credits) - part
        sale.from_ended += gone
        nanos -= gone
        sale.from_allowance += part
        self.allowance -= part
        self.credits -= nanos - part

    def left_of_ended(self, sale: Sale) -> int:
        """Of a subscription that is over, or that rests."""
        if not sale.is_invoice or (self.term is not None and sale.of == self.subscriptions):
            return 0
        taken = sum(other.from_ended for other in self.sales.values() if other.of == sale.of)
        return max(0, self.ended.get(sale.of, 0) - taken)

    def open_charge(self) -> Charge | None:
        return next((charge for charge in self.charges if charge.state in {"open", "authentication"}), None)

    def month_total(self, now: datetime) -> int:
        """Made or paid in this calendar month, or open."""
        this = (now.year, now.month)
        return sum(charge.cents for charge in self.charges if self.counts(charge, this))

    @staticmethod
    def counts(charge: Charge, month: tuple[int, int]) -> bool:
        if charge.state in {"open", "authentication"}:
            return True
        moments = [charge.made, charge.ended] if charge.state == "paid" else []
        return any(moment and (moment.year, moment.month) >= month for moment in moments)

    def is_charge_due(self, now: datetime) -> bool:
        rules = self.recharging
        if rules is None or rules.is_paused or (rules.rests_until and rules.rests_until > now):
            return False
        is_low = self.allowance + self.credits < rules.threshold
        return is_low and self.month_total(now) + rules.cents <= rules.monthly_max

    def is_recharging(self, now: datetime) -> bool:
        """Whether it is worth waiting: an attempt is open, or about to be made."""
        if self.recharging is None or self.recharging.is_paused:
            return False
        if charge := self.open_charge():
            return charge.state == "open"
        return self.is_charge_due(now) and not self.is_frozen and self.offer.allows_packs

    def decline(self, now: datetime) -> None:
        rules = self.recharging
        rules.rests_until = now + WAITS[min(rules.declines, 2)]
        rules.declines += 1
        rules.is_paused = rules.is_paused or rules.declines >= 3
