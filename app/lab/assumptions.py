"""What the lab assumes, shown beside the figure that it affects."""

REPLAYED = {
    "money": (
        "Everybody buys what they bought, at any price: nobody leaves or joins because of it.",
        "Revenue is after refunds, disputes and tax, each in proportion to the price.",
        "Stripe's fee is the one in Settings, and refunds don't return it.",
        "Nobody gets a trial who had none.",
    ),
    "use": (
        "People ask what they asked, when they asked it. An answer that would have been cut off ends there.",
        "An answer that was shortened stays short, even with more to pay for it.",
        "Balances and daily limits start as they were; a changed plan applies from an account's first refill.",
        "Calls without a recorded plan count for the account's plan of today.",
    ),
    "refusals": (
        "A refused call that would now pass costs as much as an ordinary call of its model; each attempt is one call.",
        "A refused image counts at the price it was offered at or, if unknown, its model's first price.",
        "Refused calls are kept for 90 days, at most 500 per account, day and code.",
        "Limits of members, keys, absorbed cost, chats and documents stay as they were; "
        "only a plan with more chats lets in those refused for their number.",
        "The spending guard acts as it did unless what it depends on changes. A pause that was ended by hand ends "
        "then, a new one after an hour; both for the rest of the day.",
        "A refusal during an auto-recharge keeps its code.",
    ),
    "accounts": (
        "Better off: refused less, paying less, or left with more for the same money. Accounts that are refused "
        "more are worse off, whatever they save.",
    ),
    "answers": ("An answer costs what an average paid call cost in this period, before and after.",),
}
SIMULATED = {
    "money": ("These users don't exist. They stay on their plan and buy the pack as often as their habit says.",),
    "use": (
        "Calls come at random around the clock; the habit sets their average number and length.",
        "A prompt reserves four times its tokens, an answer at most 4,096.",
    ),
    "refusals": (
        "People who run out and buy ask again at once; others ask as often as before.",
        "Nobody's spending is paused, since made-up users have no normal.",
    ),
    "accounts": REPLAYED["accounts"],
    "answers": REPLAYED["answers"],
}


def assumptions(*, is_simulated: bool) -> dict[str, tuple[str, ...]]:
    return SIMULATED if is_simulated else REPLAYED
