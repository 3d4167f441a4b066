"""How passwords are stored, and that unknown people cost the same time as known ones."""

import statistics
import time
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType

import pytest

from app.models.identity import password


@pytest.fixture
def real() -> ModuleType:
    """A copy of the module as production has it; the app's own hashes quickly in tests."""
    spec = spec_from_file_location("password_of_production", password.__file__)
    assert spec is not None
    assert spec.loader is not None
    copy = module_from_spec(spec)
    spec.loader.exec_module(copy)
    return copy


def test_a_password_is_stored_as_argon2id(real: ModuleType) -> None:
    stored = real.hashed("correct horse battery")
    kind, version, costs = stored.split("$")[1:4]
    assert (kind, version) == ("argon2id", "v=19")
    assert costs == "m=19456,t=2,p=1"
    assert real.is_right("correct horse battery", stored)


def test_nobody_costs_the_same_work_as_somebody(real: ModuleType) -> None:
    stored = real.hashed("correct horse battery")
    known = statistics.median(seconds_for(real, stored) for _ in range(5))
    unknown = statistics.median(seconds_for(real, None) for _ in range(5))
    assert 0.4 < unknown / known < 2.5


def seconds_for(real: ModuleType, stored: str | None) -> float:
    began = time.process_time()
    assert not real.is_right("a wrong password", stored)
    return time.process_time() - began


def test_the_list_of_common_passwords_is_long_and_clean() -> None:
    assert len(password.COMMON) > 2_400
    assert all(len(word) >= password.SHORTEST and word == word.lower() for word in password.COMMON)


@pytest.mark.parametrize("word", ["1234567890", "qwertyuiop", "1q2w3e4r5t", "password12", "basketball", "Q1W2E3R4T5"])
def test_a_common_password_is_known_in_any_case(word: str) -> None:
    assert password.weakness(word)
