"""The bench's account: rich, without limits, with chats; prints `{"key", "chats"}`. Run once after the seed."""

import json
import sys

from sqlalchemy import insert

from app import create_app
from app.extensions import db
from app.models.catalog.plan import Plan
from app.models.chat.chat import Chat
from bench.metrics import MODEL
from tests.support import people

RICH = 10**17


def main() -> None:
    with create_app().app_context():
        people.model(MODEL)
        plan = Plan.default()
        plan.daily_limit_nanos, plan.parallel_calls = None, 1000
        account = people.person("ada", credits=RICH)
        account.breaker = "off"
        own = {"account_id": account.id, "user_id": account.memberships[0].user_id, "model": MODEL}
        made = db.session.scalars(insert(Chat).returning(Chat.id), [own] * int(sys.argv[1])).all()
        print(json.dumps({"key": people.api_key(account), "chats": list(made)}))


if __name__ == "__main__":
    main()
