"""The test cards: what each one does when it is saved, charged with its owner there, or charged without."""

from dataclasses import dataclass

from sandbox.errors import StripeError, invalid


@dataclass(frozen=True)
class Decline:
    code: str
    decline_code: str
    message: str


GENERIC = Decline("card_declined", "generic_decline", "Your card was declined.")
POOR = Decline("card_declined", "insufficient_funds", "Your card has insufficient funds.")
EXPIRED = Decline("expired_card", "expired_card", "Your card has expired.")
UNAUTHENTICATED = Decline(
    "authentication_required",
    "authentication_required",
    "Your card was declined. This transaction requires authentication.",
)
FAILED_AUTHENTICATION = Decline(
    "payment_intent_authentication_failure",
    "authentication_failure",
    "The customer did not authenticate the payment.",
)


@dataclass(frozen=True)
class Card:
    """`declines`: always; `fails_later`: off-session only; `asks`: "never", "until_saved" or "always" for 3DS;
    `settles`: "now", or days later as "success" or "failure" (a bank debit)."""

    key: str
    label: str
    number: str
    token: str
    declines: Decline | None = None
    fails_later: Decline | None = None
    asks: str = "never"
    settles: str = "now"
    disputed: bool = False


CARDS = [
    Card("success", "succeeds", "4242424242424242", "pm_card_visa"),
    Card("decline", "is declined", "4000000000000002", "pm_card_visa_chargeDeclined", declines=GENERIC),
    Card("authentication", "asks for authentication", "4000002500003155", "pm_card_authenticationRequiredOnSetup",
         asks="until_saved"),
    Card("insufficient_funds", "has insufficient funds", "4000000000009995",
         "pm_card_visa_chargeDeclinedInsufficientFunds", declines=POOR),
    Card("fails_later", "succeeds now, fails at renewal", "4000000000000341", "pm_card_chargeCustomerFail",
         fails_later=GENERIC),
    Card("authentication_always", "asks for authentication each time", "4000002760003184",
         "pm_card_authenticationRequired", asks="always"),
    Card("expired", "is expired", "4000000000000069", "pm_card_chargeDeclinedExpiredCard", declines=EXPIRED),
    Card("disputed", "succeeds, then is disputed", "4000000000000259", "pm_card_createDispute", disputed=True),
    Card("pays_later", "a bank debit that succeeds days later", "000123456789", "pm_usBankAccount_success",
         settles="success"),
    Card("fails_days_later", "a bank debit that fails days later", "000222222227", "pm_usBankAccount_insufficientFunds",
         settles="failure", declines=None),
]  # fmt: skip
BY_KEY = {card.key: card for card in CARDS}
BY_NUMBER = {card.number: card for card in CARDS}
BY_TOKEN = {card.token: card for card in CARDS}


def card_named(word: str) -> Card:
    """By key (`success`), number, or Stripe's test token (`pm_card_visa`)."""
    plain = word.replace(" ", "")
    card = BY_KEY.get(word) or BY_NUMBER.get(plain) or BY_TOKEN.get(word)
    if card is None:
        raise invalid(f"Your card number is incorrect: {word}", "card", "incorrect_number")
    return card


def card_error(decline: Decline, **fields: object) -> StripeError:
    return StripeError(
        402, "card_error", decline.message, code=decline.code, decline_code=decline.decline_code, **fields
    )
