"""The second and the third way of docs/charging.md, as they are written there; test_call.py runs the first."""

import itertools
import re
import shlex
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path

import pytest
import requests

from app.models.billing.audit import audit
from app.models.identity.api_key import ApiKey
from app.models.metering.usage import Usage
from tests.chat.conftest import environment, provider
from tests.support import Database, people
from tests.support.people import CREDIT
from tests.support.provider_server import ProviderServer
from tests.support.running_app import RunningApp

__all__ = ["environment", "provider"]
PAGE = (Path(__file__).parents[2] / "docs" / "charging.md").read_text()


@pytest.fixture
def place(start_app: Callable[..., RunningApp], session: Database, provider: ProviderServer) -> dict[str, str]:
    """What the page leaves open: the address, and ada's key, which may hold credits."""
    account = people.person("ada", credits=1000 * CREDIT)
    _key, secret = ApiKey.make(account.id, account.memberships[0].user_id, "service", scopes=["read", "spend", "hold"])
    session.commit()
    return {"HOST": start_app("web").url, "KEY": secret}


def written(language: str) -> str:
    [code] = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(code)


def curl(line: str, variables: Mapping[str, str]) -> requests.Response:
    """What that command asks, by its options as curl reads them."""
    for name, value in variables.items():
        line = line.replace(f"${name}", value)
    arguments = shlex.split(line)
    options = dict(itertools.pairwise(arguments))
    url = next(word for word in arguments if word.startswith("http"))
    header, body = options["-H"].split(": ", 1), options.get("-d")
    form = {"Content-Type": "application/x-www-form-urlencoded"} if body else {}
    method = options.get("-X", "POST" if body else "GET")
    return requests.request(method, url, headers={header[0]: header[1], **form}, data=body, timeout=30)


def calls(session: Database) -> list[Usage]:
    session.rollback()
    return session.query(Usage).order_by(Usage.id).all()


def test_both_go_as_the_page_has_them(
    place: dict[str, str], session: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = the_gateway_is_asked(place, session, capsys)
    credits_are_held_settled_and_released(place, session)
    left = curl('curl $HOST/api/balance -H "Authorization: Bearer $KEY"', place).json()
    assert (left["credits_nanos"], left["reserved_nanos"]) == (1000 * CREDIT - asked - 62_500_000, 0)
    assert list(audit()) == []


def the_gateway_is_asked(place: dict[str, str], session: Database, capsys: pytest.CaptureFixture[str]) -> int:
    """What it came to, in nanos."""
    code = written("python").replace("https://<your host>", place["HOST"]).replace("tg_...", place["KEY"])
    exec(compile(code, "charging.md", "exec"), {})  # noqa: S102
    [call] = calls(session)
    told = Decimal(capsys.readouterr().out.splitlines()[-1])
    assert told * CREDIT == call.paid_nanos > 0
    assert (call.operation, call.state) == ("gateway", "settled")
    return int(call.paid_nanos)


def credits_are_held_settled_and_released(place: dict[str, str], session: Database) -> None:
    hold, renew, settle, release = [line for line in written("sh").splitlines() if line.startswith("curl")]
    for end, paid in ((settle, 62_500_000), (release, 0)):
        held = curl(hold, place).json()
        renewed, ended = (curl(line.replace("4711", held["id"]), place) for line in (renew, end))
        assert (held["ceiling_credits"], renewed.status_code, ended.status_code) == ("80", 200, 200), ended.text
        call = calls(session)[-1]
        assert (call.operation, call.paid_nanos) == ("held:poster", paid)
        again = curl(settle.replace("4711", held["id"]), place)
        assert again.status_code == (200 if paid else 409)
        assert again.json().get("code") == (None if paid else "reservation_ended")
