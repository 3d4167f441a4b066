"""What the lab takes for granted, beside the figure that it bends."""

from __future__ import annotations

REPLAYED = {
    "money": (
        "Everybody buys what they bought, whatever it would cost then: nobody leaves or comes because of a price.",
        "Refunds are in proportion to the price. Stripe's fee is the setting's, and a refund gives none of it back.",
        "A trial that did not take place does not take place.",
    ),
    "use": (
        "People ask what they asked, when they asked it. An answer that would have been cut shorter ends there.",
        "An answer that was shortened stays as short, even where there would be more to pay for it.",
        "Balances and daily limits begin as they were; a changed plan acts from an account's first refill on.",
        "Calls without a record of their plan count for the plan that their account is on today.",
    ),
    "refusals": (
        "A refused call that would begin uses what an ordinary call of its model did; each attempt is one call.",
        "A refused image counts at the price that was asked; where that was not kept yet, at the first of its model.",
        "Refused calls are kept for 90 days, and at most 500 of an account, a day and a code.",
        "Limits of members and keys, of absorbed cost, of chats and documents stay as they were; "
        "only a plan with more chats lets in whom the old number kept out.",
        "The spending guard acts as in truth where nothing it goes by is changed. A pause that was ended in truth ends "
        "then, one that did not take place after an hour; either for the rest of the day.",
        "While an auto-recharge was being paid, a refusal keeps its code.",
    ),
    "accounts": (
        "Better off: refused less, or paying less, or left with more for the same money. Accounts that are refused "
        "more are worse off, whatever they save.",
    ),
    "answers": ("An answer is what an average paid call cost in this period, on either side.",),
}
SIMULATED = {
    "money": (
        "These users do not exist. They stay on their plan, and buy the pack as often as their habit says.",
    ),
    "use": (
        "Calls come at random around the clock, as many and as long as the habit says on average.",
        "A prompt is held at four times its tokens, an answer at 4,096 tokens at most.",
    ),
    "refusals": (
        "Who runs out and buys asks again at once; who does not asks again as often as ever.",
        "Nobody's spending is paused: the guard is for what is far from one's own normal.",
    ),
    "accounts": REPLAYED["accounts"],
    "answers": REPLAYED["answers"],
}


def assumptions(*, is_simulated: bool) -> dict[str, tuple[str, ...]]:
    return SIMULATED if is_simulated else REPLAYED
