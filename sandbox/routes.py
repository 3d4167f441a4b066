"""Which function answers which operation: `@operation("POST", "/v1/customers/{id}")`."""

import re
from collections.abc import Callable
from typing import Any

from sandbox.params import Params, integer, merged_metadata, nested, whole
from sandbox.shapes import listing
from sandbox.store import Thing
from sandbox.world import Sandbox

Answer = Callable[..., Thing]
ROUTES: list[tuple[str, re.Pattern[str], Answer]] = []


def operation(verb: str, path: str) -> Callable[[Answer], Answer]:
    pattern = re.compile(re.sub(r"\{\w+\}", "([^/]+)", path))

    def register(function: Answer) -> Answer:
        ROUTES.append((verb, pattern, function))
        return function

    return register


def find(verb: str, path: str) -> tuple[Answer, tuple[str, ...]] | None:
    """A path in plain words goes before one with an id: `/v1/invoices/create_preview` before `/v1/invoices/{id}`."""
    matches = [(pattern.fullmatch(path), function) for method, pattern, function in ROUTES if method == verb]
    fitting = [(match.groups(), function) for match, function in matches if match]
    if not fitting:
        return None
    identities, function = min(fitting, key=lambda one: len(one[0]))
    return function, identities


def retrieve(kind: str, path: str) -> None:
    """Declares GET on one object."""

    def answer(sandbox: Sandbox, params: Params, identity: str) -> Thing:
        return sandbox.get(kind, identity)

    operation("GET", path + "/{id}")(answer)


def relabel(kind: str, path: str, event: str | None = None) -> None:
    """Declares POST on one object, of which nothing but `metadata` can be changed."""

    def answer(sandbox: Sandbox, params: Params, identity: str) -> Thing:
        thing = sandbox.get(kind, identity)
        return sandbox.change(thing, event, metadata=merged_metadata(thing["metadata"], params))

    operation("POST", path + "/{id}")(answer)


def listed(kind: str, path: str, *filters: str) -> None:
    """Declares GET on the list of a kind, with equality on `filters` beside Stripe's paging."""

    def answer(sandbox: Sandbox, params: Params) -> Thing:
        return page(sandbox.store.where(kind, **wanted(params, *filters)), params, path)

    operation("GET", path)(answer)


def wanted(params: Params, *names: str) -> dict[str, Any]:
    """What a list is to be narrowed to."""
    return {name: as_stored(params[name]) for name in names if name in params}


def as_stored(value: str) -> Any:
    return {"true": True, "false": False}.get(value, value)


def page(things: list[Thing], params: Params, url: str) -> Thing:
    """`limit` (10), `starting_after`, `ending_before`, and `created` bounds; newest first."""
    matches = [thing for thing in things if is_within(thing.get("created", 0), params)]
    limit = min(max(whole(params, "limit", 10), 1), 100)
    ids = [thing["id"] for thing in matches]
    if params.get("ending_before") in ids:
        end = ids.index(params["ending_before"])
        begin = max(0, end - limit)
        return listing(matches[begin:end], url, has_more=begin > 0)
    start = ids.index(params["starting_after"]) + 1 if params.get("starting_after") in ids else 0
    return listing(matches[start : start + limit], url, has_more=len(matches) > start + limit)


def is_within(created: int, params: Params) -> bool:
    if isinstance(params.get("created"), str):
        return created == integer(params, "created")
    bounds = nested(params, "created")
    return (
        created > whole(bounds, "gt", -1)
        and created >= whole(bounds, "gte", 0)
        and created < whole(bounds, "lt", 1 << 60)
        and created <= whole(bounds, "lte", 1 << 60)
    )
