"""The kinds of users that the lab begins with, where nobody has written any: to be changed in the admin."""

from sqlalchemy import func, select

from app.extensions import db
from app.models.catalog.ai_model import AIModel
from app.models.catalog.plan import CreditPack, Plan
from app.models.operations.lab_run import Habit

NEVER, SOME, MANY = 0, 2_000, 6_000


def seed_habits() -> None:
    """A few who try, more who ask now and then, some who ask all day; on the free plan and the first with a price."""
    if db.session.scalar(select(func.count()).select_from(Habit)):
        return
    plans = [plan for plan in Plan.on_offer() if plan.interval == "month"]
    models = AIModel.for_sale()
    if not plans or not models:
        return
    free = next((plan for plan in plans if plan.is_free), plans[0])
    priced = next((plan for plan in plans if not plan.is_free), plans[0])
    pack = next(iter(CreditPack.on_offer()), None)
    model = min(models, key=lambda offer: offer[1].output_nanos)[0].name
    strong = max(models, key=lambda offer: offer[1].output_nanos)[0].name
    for name, people, plan, used, calls, read, written, buys in (
        ("Curious", 60, free, model, 100, 400, 250, NEVER),
        ("Regular", 25, priced, model, 800, 1_200, 400, SOME),
        ("Heavy", 5, priced, strong, 3_000, 3_000, 700, MANY),
    ):
        db.session.add(
            Habit(
                name=name,
                people=people,
                plan_id=plan.id,
                model=used,
                calls_per_day=calls,
                input_tokens=read,
                output_tokens=written,
                pack_id=pack.id if pack and buys else None,
                buys_bps=buys,
            )
        )
    db.session.flush()
