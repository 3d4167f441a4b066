"""How a payment can fail, whichever vendor takes it."""


class PaymentsNotSetUp(Exception):
    """There is no key for Stripe, or Stripe does not take it."""


class UnknownOutcome(Exception):
    """No answer, or one that does not say whether it was done: ask again with the same key, or look."""


class ServerError(UnknownOutcome):
    """An error of Stripe's own, which it keeps: the same key gets the same answer for a day."""


class Rejected(Exception):
    """Stripe will not do that, now or later, in that state of things."""


class NotFound(Rejected):
    """Stripe has nothing of that id."""


class Declined(Exception):
    """The card does not pay. `payment_intent_id` is what Stripe keeps of the attempt."""

    def __init__(self, message: str, code: str, payment_intent_id: str | None) -> None:
        super().__init__(message)
        self.code = code
        self.payment_intent_id = payment_intent_id


class AuthenticationNeeded(Declined):
    """The card pays once its owner has confirmed it."""


class Forged(Exception):
    """A webhook that Stripe did not send."""


class Mismatch(Exception):
    """What Stripe reports is not what we sold: nothing is credited, it is parked and shown."""

    def __init__(self, message: str, payment_id: int | None = None) -> None:
        super().__init__(message)
        self.payment_id = payment_id
