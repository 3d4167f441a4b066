"""Schemathesis on each operation: what the description allows, and what it does not, never ends in a 500.

Of the 5XX only 502 and 503 are described, and each answer is held to the description (`app`). Keys are not revoked: it
would be the one that is signed in with.
"""

from collections import Counter
from collections.abc import Callable

import schemathesis
from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import one_of
from schemathesis import APIOperation, Case, GenerationMode

from tests.chat.conftest import Door
from tests.conftest import IS_LONG

EXAMPLES = 100 if IS_LONG else 2
REVOKED = ("delete", "/api/keys/{key_id}")


def test_no_request_that_can_be_thought_of_is_answered_with_a_500(app: Flask, door: Callable[..., Door]) -> None:
    ada = door("ada", credits=10**12)
    described = schemathesis.openapi.from_wsgi("/api/openapi.json", app)
    operations = [result.ok() for result in described.get_all_operations()]
    statuses: Counter[int] = Counter()
    for operation in operations:
        if (operation.method, operation.path) != REVOKED:
            statuses += tried(operation, ada.headers)

    assert not statuses.keys() & {401, 500}, statuses
    assert statuses.keys() >= {200, 400, 404}, statuses


def tried(operation: APIOperation, who: dict[str, str]) -> Counter[int]:
    """How often it was answered with which status."""
    statuses: Counter[int] = Counter()

    @settings(max_examples=EXAMPLES, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(case=one_of([operation.as_strategy(generation_mode=mode) for mode in GenerationMode]))
    def ask(case: Case) -> None:
        case.headers.update(who)
        statuses[case.call().status_code] += 1

    ask()
    return statuses
