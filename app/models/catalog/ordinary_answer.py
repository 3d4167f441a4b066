"""What an ordinary answer costs, and how many of them a plan's month is worth."""

from collections.abc import Sequence

from app.models.catalog.ai_model import AIModel
from app.models.catalog.plan import Plan
from app.models.catalog.price import ORDINARY_ANSWER_TOKENS, ModelPrice
from app.providers.base import TokenUsage

ORDINARY = TokenUsage(uncached_input=500, output=ORDINARY_ANSWER_TOKENS)


def per_answer(priced: ModelPrice) -> int:
    """What an ordinary answer costs at that price, in nanos: 500 tokens in, 400 out."""
    return priced.rates.cost_of(ORDINARY)


def first_affordable(offers: Sequence[tuple[AIModel, ModelPrice]], available: int) -> str | None:
    """The first model whose ordinary answer the balance affords, else the cheapest; None where there is none."""
    costs = [(per_answer(price), model.name) for model, price in offers]
    return next((name for cost, name in costs if cost <= available), min(costs)[1] if costs else None)


def answers_of(plans: list[Plan]) -> dict[int, tuple[int, str]]:
    """How many ordinary answers a plan's month is worth, and of which model: the first on sale that it includes."""
    offers = [(model, per_answer(price)) for model, price in AIModel.for_sale()]
    answers = {}
    for plan in plans:
        usable = ((m, cost) for m, cost in offers if cost and (not plan.models or m.name in plan.models))
        model, cost = next(usable, (None, 0))
        if model and plan.allowance_nanos:
            answers[plan.id] = plan.allowance_nanos // cost, model.title
    return answers
