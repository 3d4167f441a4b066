"""`flask prices import`: what differs is proposed, and a person approves."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import time_machine
from flask import Flask

from app.catalog import price_import
from app.models.base import utcnow
from app.models.catalog.ai_model import AIModel
from app.models.catalog.price import ModelPrice
from app.models.catalog.provider_account import ProviderAccount
from app.models.metering.refusal import Refusal
from tests.prices.china import is_peak
from tests.support import Database

AUTUMN = datetime(2026, 11, 21, 12, tzinfo=UTC)
pytestmark = pytest.mark.databases("sqlite", "postgresql", short="in turns")


@pytest.fixture(autouse=True)
def in_autumn(database_kind: str):
    with time_machine.travel(AUTUMN):
        yield


def imported(app: Flask, *arguments: str) -> str:
    done = app.test_cli_runner().invoke(args=["prices", "import", *arguments])
    assert done.exit_code == 0, (done.output, done.exception)
    return done.output


def proposals(session: Database, name: str) -> list[ModelPrice]:
    session.expire_all()
    return [price for price in AIModel.named(name).prices if price.approved_at is None]


def changed_since(session: Database, name: str = "gpt-4o-mini", **figures: object) -> ModelPrice:
    """The list says something else than genai-prices, as it does when its next release has new prices."""
    price = AIModel.named(name).prices[0]
    for column, figure in figures.items():
        setattr(price, column, figure)
    session.commit()
    return price


def usable(session: Database) -> None:
    """Make the providers usable without a key."""
    for provider in session.query(ProviderAccount):
        provider.key_variable = None
    session.commit()


def test_after_the_seed_the_list_agrees(app: Flask, session: Database) -> None:
    assert imported(app) == "0 proposed, 0 approved, 0 waiting for approval\n"


def test_a_change_is_proposed_with_the_old_price_beside_the_new(app: Flask, session: Database) -> None:
    changed_since(session, output_nanos=500_000_000)
    output = imported(app)

    assert "changed    gpt-4o-mini" in output
    assert "output               $0.500000000 -> $0.600000000" in output
    assert [price.output_nanos for price in proposals(session, "gpt-4o-mini")] == [600_000_000]


def test_a_proposal_does_not_count_until_it_is_approved(app: Flask, session: Database) -> None:
    changed_since(session, output_nanos=500_000_000)
    imported(app)

    usable(session)

    assert AIModel.to_sell("gpt-4o-mini", utcnow())[1].output_nanos == 500_000_000


def test_the_second_run_proposes_nothing(app: Flask, session: Database) -> None:
    changed_since(session, output_nanos=500_000_000)
    imported(app)

    assert imported(app) == "0 proposed, 0 approved, 1 waiting for approval\n"
    assert len(proposals(session, "gpt-4o-mini")) == 1


def test_approving_makes_the_new_price_count_from_now_on(app: Flask, session: Database) -> None:
    old = changed_since(session, output_nanos=500_000_000).id
    imported(app, "--approve")
    usable(session)

    assert AIModel.to_sell("gpt-4o-mini", utcnow())[1].output_nanos == 600_000_000
    assert AIModel.to_sell("gpt-4o-mini", AUTUMN.replace(month=10))[1].id == old
    assert imported(app) == "0 proposed, 0 approved, 0 waiting for approval\n"


def test_only_the_named_models_are_approved(app: Flask, session: Database) -> None:
    changed_since(session, output_nanos=500_000_000)
    changed_since(session, "gpt-4o", output_nanos=500_000_000)
    imported(app)

    assert "1 approved, 0 waiting" in imported(app, "--approve", "gpt-4o")
    assert len(proposals(session, "gpt-4o-mini")) == 1
    assert proposals(session, "gpt-4o") == []


def test_a_persons_own_price_is_only_replaced_by_name(app: Flask, session: Database) -> None:
    changed_since(session, output_nanos=500_000_000, source="admin")
    output = imported(app, "--approve")

    assert "disagrees  gpt-4o-mini" in output
    assert output.endswith("1 proposed, 0 approved, 1 waiting for approval\n")
    assert "1 approved, 0 waiting" in imported(app, "--approve", "gpt-4o-mini")


def test_an_announced_price_that_is_missing_is_proposed_for_its_day(app: Flask, session: Database) -> None:
    session.query(ModelPrice).filter(ModelPrice.effective_from > AUTUMN).delete()
    session.commit()
    output = imported(app)

    assert "future     gemini-4-argon from 2026-12-01 00:00" in output
    assert [price.effective_from for price in proposals(session, "gemini-4-argon")] == [
        datetime(2026, 12, 1, tzinfo=UTC)
    ]


def test_a_corrected_announcement_takes_the_place_of_the_first(app: Flask, session: Database) -> None:
    announced = session.query(ModelPrice).filter(ModelPrice.effective_from > AUTUMN).all()
    for price in announced:
        price.output_nanos += 1
    session.commit()

    assert f"{len(announced)} approved, 0 waiting" in imported(app, "--approve")
    assert imported(app) == "0 proposed, 0 approved, 0 waiting for approval\n"
    assert session.query(ModelPrice).filter(ModelPrice.effective_from > AUTUMN).count() == len(announced)


def test_a_model_without_any_price_gets_a_proposal_and_is_not_sold_meanwhile(app: Flask, session: Database) -> None:
    session.query(ModelPrice).filter_by(model_id=AIModel.named("gpt-4o").id).delete()
    session.commit()
    usable(session)

    assert "new        gpt-4o from" in imported(app)
    with pytest.raises(Refusal, match="model_not_for_sale"):
        AIModel.to_sell("gpt-4o", utcnow())


def test_a_model_that_the_source_forgot_is_named_and_keeps_its_price(app: Flask, session: Database) -> None:
    AIModel.named("gpt-4o").name = "gpt-forgotten"
    session.commit()
    usable(session)

    assert "gone       gpt-forgotten" in imported(app, "--approve")
    assert AIModel.to_sell("gpt-forgotten", utcnow())[1].output_nanos == 10_000_000_000


def test_a_suffix_of_a_known_name_gets_no_price(app: Flask, session: Database) -> None:
    session.add(AIModel(name="gpt-4o-deluxe", title="x", provider_id=1, context_window=1, max_output_tokens=1))
    session.commit()

    assert imported(app) == "0 proposed, 0 approved, 0 waiting for approval\n"


def test_a_proposal_that_no_longer_holds_is_withdrawn(app: Flask, session: Database) -> None:
    changed_since(session, output_nanos=500_000_000)
    imported(app)
    price = next(price for price in AIModel.named("gpt-4o-mini").prices if price.approved_at)
    price.output_nanos = 600_000_000
    session.commit()

    assert imported(app) == "0 proposed, 0 approved, 0 waiting for approval\n"
    assert proposals(session, "gpt-4o-mini") == []


def test_one_hour_of_the_day_that_changed_is_proposed_alone(app: Flask, session: Database) -> None:
    peak = next(price for price in AIModel.named("deepseek-flash").prices if price.from_minute == 540)
    peak.output_nanos = 7
    session.commit()
    output = imported(app, "--approve")
    usable(session)
    monday = datetime(2026, 11, 23, tzinfo=UTC)
    hours = [monday.replace(hour=hour) for hour in (2, 5, 8)] + [monday.replace(day=22, hour=2)]

    assert "deepseek-flash from 2026-11-21 12:00, 09:00 to 12:00 Asia/Shanghai on Mon to Fri" in output
    assert output.count("-> $1.200000000") == 1
    sold = [AIModel.to_sell("deepseek-flash", at)[1].output_nanos // 10**6 for at in hours]
    assert sold == [1_200, 600, 1_200, 600]


def test_a_list_that_knows_no_weekdays_is_offered_the_peaks_with_their_days(app: Flask, session: Database) -> None:
    """As an installation stands that was seeded before rows had weekdays: the UTC day in pieces."""
    model = AIModel.named("deepseek-flash")
    figures = {price.from_minute: price_import.figures_of(price) for price in model.prices}
    session.query(ModelPrice).filter_by(model_id=model.id).delete()
    for begin, end, minute in ((0, 60, 0), (60, 240, 540), (240, 360, 0), (360, 600, 840), (600, 1440, 0)):
        times = {
            "effective_from": datetime(2026, 1, 1, tzinfo=UTC),
            "from_minute": begin,
            "until_minute": end,
        }
        session.add(
            ModelPrice(model_id=model.id, source="genai-prices", approved_at=utcnow(), **times, **figures[minute])
        )
    session.commit()

    assert "3 proposed, 3 approved, 0 waiting" in imported(app, "--approve")
    assert imported(app) == "0 proposed, 0 approved, 0 waiting for approval\n"
    usable(session)
    hours = [AUTUMN + timedelta(hours=hour) for hour in range(1, 24 * 14)]
    peak = [at for at in hours if AIModel.to_sell("deepseek-flash", at)[1].output_nanos == 1_200_000_000]
    assert peak == [at for at in hours if is_peak(at)]


def test_a_price_that_is_due_is_not_proposed_again_on_its_day(app: Flask, session: Database) -> None:
    with time_machine.travel(datetime(2027, 1, 2, tzinfo=UTC)):
        assert imported(app) == "0 proposed, 0 approved, 0 waiting for approval\n"


def test_dollars_are_exact(session: Database) -> None:
    price = next(p for p in AIModel.named("deepseek-v4-pro").prices if p.cache_read_nanos == 3_625_000)

    assert Decimal(price.cache_read_nanos).scaleb(-9) == Decimal("0.003625")
