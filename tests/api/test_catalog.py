"""Models, plans and packs."""

from collections.abc import Callable

from app.extensions import db
from app.models.catalog.ai_model import AIModel
from app.models.catalog.plan import CreditPack, Plan
from tests.chat.conftest import Door
from tests.support import people


def test_a_model_shows_its_price_in_credits_for_a_million_tokens(ada: Door) -> None:
    models = {model["id"]: model for model in ada.call("GET", "/models?limit=200").json["items"]}

    assert models["gpt-4o-mini"] | {"speed": "fast"} == {
        "id": "gpt-4o-mini",
        "provider": "OpenAI",
        "name": "GPT-4o mini",
        "input_credits_per_mtok": "150",
        "output_credits_per_mtok": "600",
        "cache_read_credits_per_mtok": "75",
        "context_window": 128_000,
        "max_input_tokens": None,
        "max_output_tokens": 16_384,
        "sold_until": "2027-01-14T00:00:00Z",
        "successor": "gpt-6-luna",
        "next_price": None,
        "is_reasoning": False,
        "takes_images": True,
        "speed": "fast",
        "is_in_plan": True,
    }


def test_models_of_a_provider_without_a_key_are_not_listed(ada: Door) -> None:
    providers = {model["provider"] for model in ada.call("GET", "/models?limit=200").json["items"]}

    assert {"OpenAI", "Anthropic", "Demo"} <= providers
    assert not providers & {"Google", "DeepSeek"}


def test_pages_of_models_make_the_whole_list_without_a_gap(ada: Door) -> None:
    whole = [model["id"] for model in ada.call("GET", "/models?limit=200").json["items"]]
    walked, cursor = [], ""
    while cursor is not None:
        page = ada.call("GET", f"/models?limit=3{cursor and f'&cursor={cursor}'}").json
        walked += [model["id"] for model in page["items"]]
        cursor = page["next_cursor"]

    assert walked == whole
    assert len(walked) > 6


def test_a_cursor_from_elsewhere_is_refused_by_field(ada: Door) -> None:
    answer = ada.call("GET", "/models?cursor=nowhere")

    assert (answer.status_code, answer.json["code"], list(answer.json["errors"])) == (
        400,
        "invalid_request",
        ["cursor"],
    )


def test_a_plan_that_names_its_models_says_which_are_in_it(door: Callable[..., Door]) -> None:
    plan = Plan(name="Small", models=["gpt-4o-mini"])
    db.session.add(plan)
    small = door("bob", plan=plan, credits=people.CREDIT)
    in_plan = {model["id"] for model in small.call("GET", "/models?limit=200").json["items"] if model["is_in_plan"]}

    assert in_plan == {"gpt-4o-mini"}


def test_only_active_plans_and_packs_are_on_offer(ada: Door) -> None:
    legacy = db.session.query(Plan).filter_by(name="Plus").one()
    pack = db.session.query(CreditPack).first()
    legacy.status = pack.status = "legacy"
    db.session.commit()
    plans = [plan["name"] for plan in ada.call("GET", "/plans").json["items"]]
    packs = [item["id"] for item in ada.call("GET", "/packs").json["items"]]

    assert "Plus" not in plans
    assert "Free" in plans
    assert str(pack.id) not in packs
    assert len(packs) == 2


def test_a_pack_states_its_worth_and_its_price(ada: Door) -> None:
    pack = ada.call("GET", "/packs").json["items"][0]

    assert (pack["price_cents"], pack["currency"], pack["worth_nanos"], pack["worth_credits"]) == (
        1000, "usd", 5_000_000_000, "5000",
    )  # fmt: skip


def test_a_plan_without_a_daily_limit_says_null(ada: Door) -> None:
    plans = {plan["name"]: plan for plan in ada.call("GET", "/plans").json["items"]}

    assert plans["Plus"]["daily_limit_nanos"] is None
    assert plans["Plus"]["allowance_credits"] == "10000"
    assert plans["Free"]["daily_limit_credits"] == "50"


def test_a_model_whose_only_price_is_unapproved_is_hidden_and_refused_by_name(ada: Door) -> None:
    model = AIModel.named("gpt-4o")
    model.prices[0].approved_at = None
    db.session.commit()
    answer = ada.call("POST", "/chats", json={"model": "gpt-4o"})

    assert (answer.status_code, answer.json["code"]) == (
        400,
        "model_not_for_sale",
    )
    assert "gpt-4o" in answer.json["detail"]
    assert "gpt-4o" not in [model["id"] for model in ada.call("GET", "/models?limit=200").json["items"]]
