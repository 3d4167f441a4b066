"""One running answer: reads the provider to its end, whether or not anybody listens, and settles."""

import logging
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace

from flask import Flask, g
from sqlalchemy.exc import SQLAlchemyError

from app.extensions import db
from app.generation import cooldown
from app.generation.fallback import Answerer, fallback_for
from app.generation.provider_reader import NOBODY, Follower, ProviderReader
from app.generation.text_checkpoint import FinishedText, KeptText
from app.jobs import JobName, enqueue
from app.models.base import commit_if_begun
from app.models.catalog.learned_limits import learn
from app.models.catalog.price_schedule import price_tier
from app.models.catalog.served_model import price_as_served
from app.models.catalog.setting import Setting
from app.models.metering.call_ending import INTERRUPTED, CallEnding
from app.models.metering.reservation import PAID_OUTCOMES, Receipt, Reservation, settle_with
from app.models.metering.usage import Usage
from app.observability.counters import count_call
from app.providers.base import Prompt, Provider, ProviderError, Reply, TokenUsage
from app.providers.thinking import without_thinking
from app.providers.usage import credible, estimated

log = logging.getLogger(__name__)
SETTLE_PATIENCE = 150.0
STOPPED = "You stopped this answer. What was written up to then is kept and charged."


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an answer ended. `receipt` is None where the call had been released before."""

    status: str
    receipt: Receipt | None
    code: str | None = None
    detail: str | None = None


LOST = Outcome("interrupted", None, "interrupted", INTERRUPTED)


class Generation(ProviderReader):
    """A running answer. `run` are its steps; `follow` gives its text to a reader, from any thread.

    `kept` is where its text is kept, None where nowhere; `follow_up` a job, by name and id, for when it is done.
    `sent` is the prompt of the model that answers, which is another's where its fallback does.
    """

    def __init__(
        self,
        app: Flask,
        reservation: Reservation,
        kept: KeptText | None = None,
        follow_up: tuple[JobName, int] | None = None,
    ) -> None:
        super().__init__()
        self.app = app
        self.reservation, self.sent = reservation, reservation.prompt
        self.kept = kept
        self.follow_up = follow_up
        self.parts: list[str] = []
        self.told = self.parts
        self.is_stopping = False
        self.is_interrupted = False
        self.began = g.get("began", time.monotonic())
        self.settings = Setting.stored()
        self.waited: float | None = None
        self.reply: Reply | None = None
        self.failure: ProviderError | None = None

    @property
    def text(self) -> str:
        return "".join(self.parts)

    @property
    def ids(self) -> dict[str, str]:
        """What its events name it by."""
        rows = self.kept.ids if self.kept else {}
        return {**rows, "call_id": str(self.reservation.usage_id)}

    def run(self, provider: Provider, prompt: Prompt) -> Iterator[None]:
        """Read the answer to its end and settle it, whatever happens; a step for each time that something came."""
        ending = LOST
        try:
            ending = self._settle((yield from self._read_to_the_end(provider, prompt)))
        finally:
            with self.changed:
                self.ending = ending
                self.changed.notify_all()
        self._follow_up(ending)

    def _read_to_the_end(self, provider: Provider, prompt: Prompt) -> Generator[None, None, Outcome]:
        """How the answer ended, not yet settled. What was finished is done, whoever asked for what meanwhile."""
        code, message = yield from self._read(provider, prompt)
        has_finished = code is None and self.reply is not None and self.reply.finish_reason is not None
        if self.is_interrupted and not has_finished:
            return LOST
        if code is not None:
            return Outcome("failed", None, code, message)
        if self.is_stopping:
            return Outcome("stopped", None, "stopped", STOPPED)
        return Outcome("done", None)

    def stop(self) -> None:
        """The user has enough. A reasoning model is read to its end all the same, unseen: it is paid as reported."""
        self.is_stopping = True
        if not self.sent.is_reasoning:
            self._break_off()

    def interrupt(self) -> None:
        """This process is going away: keep the text, charge nothing."""
        self.is_interrupted = True
        self._break_off()

    def follow(self, follower: Follower = NOBODY) -> Iterator[str | None]:
        """The text as it comes; None now and then while there is nothing new."""
        seen = 0
        if self.kept and self.kept.begins_with:
            yield self.kept.begins_with
        while True:
            has_ended = self.await_more(seen, follower)
            fresh = self.parts[seen:]
            seen += len(fresh)
            if fresh:
                yield "".join(fresh)
            elif has_ended:
                return
            else:
                yield None

    def _read(self, provider: Provider, prompt: Prompt) -> Generator[None, None, tuple[str | None, str | None]]:
        """Collect the text; the code and words of an error, or two Nones."""
        try:
            yield from self._answer(Answerer(self.reservation, self.sent, provider, prompt))
        except ProviderError as error:
            self.failure = error
            return "provider_error", str(error)
        except Exception:
            log.exception("answer failed")
            return "provider_error", "The answer was cut off on our side. Nothing was charged."
        return None, None

    def _answer(self, asked: Answerer) -> Iterator[None]:
        """By the model that was asked or, before anything came, by its fallback: first while the other is failing."""
        instead = self._fallback() if cooldown.is_on(self.sent.model) else None
        try:
            yield from self._collect(instead or asked)
        except ProviderError as error:
            if self._is_under_way or (error.is_of_sender and not instead):
                raise
            other = asked if instead else self._fallback()
            if other is None:
                raise
            cooldown.begin(asked.sent.model)
            try:
                yield from self._collect(other)
            except ProviderError as second:
                # what a fallback has against the request does not answer who asked another model
                raise error if second.is_of_sender and not instead else second from None

    @property
    def _is_under_way(self) -> bool:
        """Whether something came, or somebody stopped it: then nobody else is asked."""
        is_used = self.told or (self.reply is not None and self.reply.usage.source != "none")
        return bool(is_used) or self.is_stopping or self.is_interrupted

    def _fallback(self) -> Answerer | None:
        with self.app.app_context():
            Setting.remember(self.settings)
            return fallback_for(self.reservation)

    def _collect(self, answerer: Answerer) -> Iterator[None]:
        self.reservation, self.sent, provider, prompt = answerer
        try:
            self.reply = self._ask(provider, prompt)
            if self.is_interrupted or self.is_stopping:
                self._break_off()
            for text in self.reply:
                self._append(text)
                yield
        except ProviderError as error:
            call = {"call": self.reservation.usage_id, "model": self.sent.model}
            log.warning("provider failed", extra={"reason": error.reason, "technical": error.technical, **call})
            raise
        if self.told:
            cooldown.end(self.sent.model)

    def _ask(self, provider: Provider, prompt: Prompt) -> Reply:
        return provider.stream(prompt)

    def _append(self, text: str) -> None:
        text = text.replace("\x00", "")
        if self.is_stopping or not text:
            return
        with self.changed:
            self.parts.append(text)
            self.changed.notify_all()
        if self.waited is None:
            self.waited = time.monotonic() - self.began

    def _break_off(self) -> None:
        if self.reply is not None:
            self.reply.close()

    def _usage(self, status: str) -> TokenUsage:
        """What was reported at the end, where that is credible; what it leaves out is counted here and marked so."""
        reported = credible(self.reply.usage) if self.reply else TokenUsage()
        if reported.input_tokens and (reported.output or not self.parts):
            return reported
        if reported.source == "none" and status == "failed" and not self.parts:
            return reported
        thinking = self.reply.evidence.thinking_tokens if self.reply else 0
        return estimated(self.sent, self.text, reported, thinking=thinking)

    @property
    def call_ending(self) -> CallEnding:
        """How the provider ended it, and what it says of it."""
        is_of_sender = self.failure is not None and self.failure.is_of_sender
        if self.reply is None:
            return CallEnding(is_of_sender=is_of_sender)
        said = replace(self.reply.evidence, model=self.sent.model) if self.has_fallen_back else self.reply.evidence
        return CallEnding(self.reply.finish_reason, said, is_of_sender)

    @property
    def has_fallen_back(self) -> bool:
        return self.sent is not self.reservation.prompt

    def _settle(self, ending: Outcome) -> Outcome:
        """Write receipt and message, again and again while the database is away; the sweeper is behind it."""
        deadline = time.monotonic() + SETTLE_PATIENCE
        while True:
            try:
                return self._settle_once(ending)
            except SQLAlchemyError:
                if time.monotonic() > deadline:
                    log.exception("could not settle call %s", self.reservation.usage_id)
                    return LOST
                time.sleep(1)

    def _settle_once(self, ending: Outcome) -> Outcome:
        with self.app.app_context():
            Setting.remember(self.settings)
            usage, text = self._usage(ending.status), self._finished_text(ending)
            reservation = self._priced_as_served()
            receipt = settle_with(text, reservation, usage, ending.status, self.call_ending, is_alone=True)
            if receipt is None:
                return LOST
            learn(self.sent.model, self.sent, receipt.usage)
            commit_if_begun()
            self._count(ending.status, receipt)
            self._ring(receipt)
            return replace(ending, receipt=receipt)

    def _priced_as_served(self) -> Reservation:
        """The reservation at the rates of the model that answered and the tier that served, where they are listed."""
        said, asked, reservation = self.call_ending.evidence, self.sent.model, self.reservation
        tier = price_tier(said.service_tier) if said.service_tier else reservation.tier
        is_other_tier = tier != reservation.tier
        if said.model in (None, asked) and not is_other_tier and not self.has_fallen_back:
            return reservation
        call = db.session.get_one(Usage, reservation.usage_id)
        price = price_as_served(asked, said.model, call.created_at, tier=tier, is_other_tier=is_other_tier)
        call.price_id = price.id if price else reservation.price_id or call.price_id
        rates = price.rates if price else reservation.rates
        db.session.commit()
        return replace(reservation, rates=rates)

    def _finished_text(self, ending: Outcome) -> FinishedText | None:
        """What its row ends with."""
        if self.kept is None:
            return None
        ended = {"status": ending.status, "error_code": ending.code, "error_detail": ending.detail}
        names = {"model": self.sent.model} if self.has_fallen_back and self.kept.names_model else {}
        more = {**self.kept.when_paid, **names} if ending.status in PAID_OUTCOMES else {}
        more |= self.kept.when_refused if self.call_ending.is_refused else {}
        text = self.text if self.kept.has_thinking else without_thinking(self.text)
        return FinishedText(self.kept, text, {**ended, **more})

    def _count(self, outcome: str, receipt: Receipt) -> None:
        cost, absorbed = receipt.paid + receipt.absorbed, receipt.absorbed
        count_call(self.sent.model, outcome, receipt.usage, cost=cost, absorbed=absorbed, waited=self.waited)

    def _follow_up(self, ending: Outcome) -> None:
        """Once the end is known. Whoever read up to it hears of it after this."""
        if self.follow_up and ending.status == "done":
            with self.app.app_context():
                enqueue(*self.follow_up)

    def _ring(self, receipt: Receipt) -> None:
        """The balance went below what its owner chose: charge the card, tell them."""
        if receipt.needs_recharge:
            enqueue(JobName.RECHARGE, self.reservation.account_id)
        if receipt.needs_alert:
            enqueue(JobName.TELL_ALERTS, self.reservation.account_id)
