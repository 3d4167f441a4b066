"""The bench's account: rich, without limits; prints its API key. Run once after the seed."""

from __future__ import annotations

from app import create_app
from app.extensions import db
from app.models.plan import Plan
from tests.support import people

RICH = 10**17


def main() -> None:
    with create_app().app_context():
        people.model("bench-model")
        plan = Plan.default()
        plan.daily_limit_nanos, plan.parallel_calls = None, 1000
        account = people.person("ada", credits=RICH)
        db.session.commit()
        print(people.api_key(account))  # noqa: T201


if __name__ == "__main__":
    main()
