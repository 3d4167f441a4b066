"""What each role gets on each route, method by method, with ada's ids in the addresses: asked of the real app.

`make matrix` prints it and writes `matrix.txt` anew; `test_matrix.py` holds the app to that file. In a row each
column of `ROLES`, or of `ADMIN_ROLES` under /admin, is one sign:

    +  let in: done, or refused for what was sent     s  asked to sign in
    x  forbidden, or without a form token             0  not found      !  our fault, which no row may have
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import make_url
from werkzeug.test import TestResponse

from app.extensions import db
from app.models.base import utcnow
from app.models.identity.account import Account
from app.models.identity.api_key import EVERY_SCOPE, ApiKey
from app.models.identity.membership import Membership
from app.models.identity.user import User, UserSession
from tests.security.test_routes import body_for
from tests.support import people
from tests.support.client import form_token

KEPT = Path(__file__).with_name("matrix.txt")
GATEWAY = "/v1/"
KEYS = tuple(f"{scope} key" for scope in EVERY_SCOPE)
ROLES = ("nobody", "guest", "member", "admin", "owner", "other owner", "founder", *KEYS, "other's key")
"""Of ada's team: a member, an admin, its owner ada, and ada's keys by their one scope. eve owns another account;
support and founder administer the installation."""

ADMIN_ROLES = ("nobody", "owner", "support", "founder")
VALUES = {
    "filename": "css/base.css",
    "path": "admin/css/x.css",
    "kind": "md",
    "export_type": "csv",
    "token": "made-up",
}
"""What stands in addresses beside ids."""

OTHERS = {
    ("answer_id", "message_id"): (
        "/regenerate",
        "/continue",
        "/messages/<message_id>/stop",
        "/messages/<message_id>/stream",
    ),
    ("image_call_id", "call_id"): ("/api/images/",),
    ("held_call_id", "call_id"): ("/api/reservations/",),
    ("shared_token", "token"): ("/files/<attachment_id>",),
}
"""Which of ada's things stands for a variable in the addresses that hold one of these: other addresses mean another
thing by the same name. The link is to a chat that does not hold the file."""


@dataclass
class Role:
    """Somebody's requests: the headers that each carries."""

    headers: dict[str, str] = field(default_factory=dict)
    is_strange: bool = True
    """Whether nothing of ada's is theirs: what they send is otherwise right, so that a refusal is about the id."""


class Cast:
    """One of each role around ada's team."""

    def __init__(self, app: Flask, team: Account) -> None:
        self.app, self.team_id = app, team.id
        ada, eve = self.owner_of(team), self.person("eve")
        self.roles = {"nobody": Role(self.cookie()), "guest": Role(self.cookie(as_guest=True))}
        for name, role in (("member", "member"), ("admin", "admin")):
            user = self.person(f"a-{name}")
            db.session.add(Membership(account_id=team.id, user_id=user.id, role=role))
            self.roles[name] = Role(self.cookie(user, team.id))
        self.roles["owner"] = Role(self.cookie(ada, team.id), is_strange=False)
        self.roles["other owner"] = Role(self.cookie(eve, eve.home_id))
        for name, role in (("support", "support"), ("founder", "owner")):
            user = self.person(name)
            user.admin_role = role
            self.roles[name] = Role(self.cookie(user, user.home_id))
        for scope in EVERY_SCOPE:
            self.roles[f"{scope} key"] = Role(self.key(ada, team.id, [scope]), is_strange=False)
        self.roles["other's key"] = Role(self.key(eve, eve.home_id, EVERY_SCOPE))
        db.session.commit()

    def body(self, rule: str, name: str, ids: dict[str, object]) -> dict[str, Any]:
        """What a body must hold to be looked at; nothing right from those who would get what they ask for."""
        if rule == "/account/switch":
            return {"account_id": self.team_id}
        if rule.startswith("/admin"):
            return {"id": "1"}
        if rule.endswith("/version"):
            return {"message_id": ids["message_id"]}
        if not self.roles[name].is_strange:
            return {"max_output_tokens": "none"}
        return body_for(rule)

    def owner_of(self, team: Account) -> User:
        return next(one.user for one in team.memberships if one.role == "owner")

    def person(self, name: str) -> User:
        account = people.person(name)
        db.session.flush()
        return account.memberships[0].user

    def key(self, user: User, account_id: int, scopes: list[str]) -> dict[str, str]:
        key, secret = ApiKey.make(account_id, user.id, "matrix", scopes=scopes)
        key.last_used_at = utcnow()  # or each request would write it down
        return {"Authorization": f"Bearer {secret}", "Accept": "application/json"}

    def cookie(self, user: User | None = None, account_id: int = 0, *, as_guest: bool = False) -> dict[str, str]:
        """The cookie and the form token of a browser in which this user, a guest or nobody is."""
        client = self.app.test_client()
        if user is not None:
            secret = UserSession.begin(user, account_id)
            db.session.commit()
            with client.session_transaction() as cookie:
                cookie["_user_id"], cookie["_fresh"] = secret, True
        token = form_token(client)
        if as_guest:
            client.post("/try", data={"csrf_token": token})
        cookie = client.get_cookie("session").value
        return {"X-CSRFToken": token, "Cookie": f"session={cookie}", "Accept": "application/json"}


MAY_LESS = {
    "guest": "nobody",
    "member": "nobody",
    "admin": "member",
    "owner": "admin",
    "other owner": "nobody",
    "founder": "other owner",
}
MAY_LESS_IN_ADMIN = {"founder": "support"}
"""Whose being let in shows that a role is, which is then not asked for."""


class Restored:
    """A SQLite database that is put back after each request which changed it."""

    def __init__(self, url: str) -> None:
        self.file, self.before = make_url(url).database, sqlite3.connect(":memory:")
        self.watch = sqlite3.connect(self.file)
        self.watch.backup(self.before)
        self.seen = self.version()

    def version(self) -> int:
        return int(self.watch.execute("PRAGMA data_version").fetchone()[0])

    def put_back(self) -> None:
        if self.version() != self.seen:
            with closing(sqlite3.connect(self.file)) as file:
                self.before.backup(file)
            self.seen = self.version()

    def close(self) -> None:
        self.watch.close()
        self.before.close()


def rules(app: Flask) -> list[tuple[str, str]]:
    """Each rule and method; of a rule the methods that change something first."""
    every = [(rule.rule, method) for rule in app.url_map.iter_rules() for method in rule.methods]
    return sorted(((rule, method) for rule, method in every if method not in {"HEAD", "OPTIONS"}), reverse=True)


def address(app: Flask, rule: str, ids: dict[str, object]) -> str:
    """The rule with ids in it."""
    one = next(known for known in app.url_map.iter_rules() if known.rule == rule)
    values = VALUES | {"month": f"{utcnow():%Y-%m}"} | ids
    for (thing, variable), parts in OTHERS.items():
        if any(part in rule for part in parts):
            values[variable] = ids[thing]
    path = one.build({name: values.get(name, 1) for name in one.arguments}, append_unknown=False)[1]
    return f"{path}?id=1" if rule.startswith("/admin") else path


def sign(answer: TestResponse) -> str:
    if answer.status_code == 302 and answer.location.startswith("/login"):
        return "s"
    if answer.status_code == 400 and "csrf_failed" in answer.text:
        return "x"
    if answer.status_code >= 500 and "payments_not_set_up" not in answer.text:
        return "!"
    return {401: "s", 403: "x", 404: "0"}.get(answer.status_code, "+")


def matrix(app: Flask, cast: Cast, ids: dict[str, object]) -> Iterator[tuple[str, str, str]]:
    """Rule, method and the signs of all roles; where no key opens anything, ada's first is asked for all of them.

    Who is no admin is shut out of an address whatever the method, and is asked with one of them.
    """
    client, restored = app.test_client(use_cookies=False), Restored(app.config["SQLALCHEMY_DATABASE_URI"])
    shut_out = dict[str, dict[str, str]]()
    for rule, method in rules(app):
        path, signs = address(app, rule, ids), dict(shut_out.get(rule, {}))
        for name in ADMIN_ROLES if rule.startswith("/admin") else ROLES:
            signs[name] = (
                signs.get(name)
                or known(rule, name, signs)
                or sign(ask(client.open, path, method, cast.roles[name], cast.body(rule, name, ids)))
            )
            restored.put_back()
        if rule.startswith("/admin"):
            shut_out[rule] = {name: signs[name] for name in ADMIN_ROLES[:2]}
        yield rule, method, "".join(signs.values())
    restored.close()


def known(rule: str, name: str, signs: dict[str, str]) -> str | None:
    """The sign that follows from those of others: without an id there is nothing that another's could be."""
    if "<" not in rule and name == "founder" and "other owner" in signs:
        return signs["other owner"]
    if "<" not in rule and name == "other's key":
        return "+" if "+" in {signs[key] for key in KEYS} else signs[KEYS[0]]
    if name.endswith("key"):
        return None if is_json(rule) else signs.get(KEYS[0])
    less = MAY_LESS_IN_ADMIN if rule.startswith("/admin") else MAY_LESS
    return "+" if signs.get(less.get(name, "")) == "+" else None


def is_json(path: str) -> bool:
    return path.startswith(("/api/", GATEWAY))


def ask(send: Callable[..., TestResponse], path: str, method: str, role: Role, body: dict[str, object]) -> TestResponse:
    """What it is answered; one that is busy at the moment is asked again."""
    sent = {"json" if is_json(path) else "data": body} if method != "GET" else {}
    for _try in range(3):
        answer = send(path, method=method, headers=role.headers, buffered=True, **sent)
        if answer.status_code != 503 or "payments_not_set_up" in answer.text:
            break
    return answer


def text(rows: list[tuple[str, str, str]]) -> str:
    """The matrix as it is kept, with the roles in the head."""
    heads = [f"# /admin: {', '.join(ADMIN_ROLES)}", f"# all others: {', '.join(ROLES)}"]
    signs = ["# + let in   s sign in first   x forbidden   0 not found"]
    return "\n".join([*heads, *signs, *(f"{one:<13} {method:<6} {rule}" for rule, method, one in sorted(rows)), ""])
