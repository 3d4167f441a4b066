"""Passkeys, with an authenticator of our own that signs as a device does: who gets in, who does not, what is left."""

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from hashlib import sha256
from typing import Any

import cbor2
import pytest
import time_machine
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given, settings
from hypothesis import strategies as st
from webauthn.helpers import bytes_to_base64url
from werkzeug.test import TestResponse

from app.models.base import utcnow
from app.models.identity.passkey import MOST_PASSKEYS, Passkey
from app.models.identity.user import MailedToken, User, UserSession
from tests.auth.conftest import Browser, PostOffice
from tests.support import Database
from tests.support.people import PASSWORD

SITE, ORIGIN = "tollgate.example", "https://tollgate.example"
PRESENT, VERIFIED, HAS_KEY = 0x01, 0x04, 0x40


@dataclass
class Device:
    """A device that keeps one passkey."""

    site: str = SITE
    origin: str = ORIGIN
    flags: int = PRESENT | VERIFIED
    count: int = 0
    identifier: bytes = b"credential-1" * 2
    key: Any = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def made(self, options: dict[str, Any]) -> dict[str, Any]:
        """The answer to the options of a new credential."""
        numbers = self.key.public_key().public_numbers()
        public = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
        credential = bytes(16) + len(self.identifier).to_bytes(2, "big") + self.identifier + cbor2.dumps(public)
        spoken = {"fmt": "none", "attStmt": {}, "authData": self.data(self.flags | HAS_KEY) + credential}
        return self.sent("webauthn.create", options, attestationObject=cbor2.dumps(spoken))

    def signed(self, options: dict[str, Any]) -> dict[str, Any]:
        """The answer to the options of a sign-in."""
        data, client = self.data(self.flags), self.client("webauthn.get", options)
        signature = self.key.sign(data + sha256(client).digest(), ec.ECDSA(SHA256()))
        return self.sent("webauthn.get", options, authenticatorData=data, signature=signature)

    def data(self, flags: int) -> bytes:
        return sha256(self.site.encode()).digest() + bytes([flags]) + self.count.to_bytes(4, "big")

    def client(self, kind: str, options: dict[str, Any]) -> bytes:
        spoken = {
            "type": kind,
            "challenge": options["challenge"],
            "origin": self.origin,
            "crossOrigin": False,
        }
        return json.dumps(spoken).encode()

    def sent(self, kind: str, options: dict[str, Any], **parts: bytes) -> dict[str, Any]:
        parts["clientDataJSON"] = self.client(kind, options)
        identifier = bytes_to_base64url(self.identifier)
        response = {name: bytes_to_base64url(part) for name, part in parts.items()}
        return {"id": identifier, "rawId": identifier, "type": "public-key", "response": response}


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    return environment | {"BASE_URL": ORIGIN}


@pytest.fixture
def ada(signed_in: Callable[..., Browser]) -> Browser:
    return signed_in("ada")


@pytest.fixture
def device(ada: Browser) -> Device:
    """ada's, which has made a passkey for her."""
    device = Device()
    assert add(ada, device).status_code == 200
    return device


def send(browser: Browser, path: str, **fields: Any) -> TestResponse:
    """As the script does."""
    headers = {"X-CSRFToken": browser.token(), "Accept": "application/json"}
    return browser.client.post(path, data=fields, headers=headers)


def add(browser: Browser, device: Device, **fields: str) -> TestResponse:
    options = send(browser, "/settings/passkeys/options", name="My phone", **fields)
    if options.status_code != 200:
        return options
    credential = json.dumps(device.made(options.json))
    return send(browser, "/settings/passkeys", name="My phone", credential=credential, **fields)


def ask(browser: Browser) -> dict[str, Any]:
    return dict(send(browser, "/login/passkey/options").json)


def sign_in(browser: Browser, device: Device, **fields: str) -> TestResponse:
    credential = json.dumps(device.signed(ask(browser)))
    return send(browser, "/login/passkey", credential=credential, **fields)


def test_a_passkey_signs_in_without_password_or_code(
    device: Device, guest: Browser, session: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """Not even where a second factor is set up: the device has asked for one."""
    user = User.with_email("ada@example.com")
    user.totp_secret = "sealed"
    session.commit()
    with caplog.at_level(logging.INFO, logger="app.security"):
        answer = sign_in(guest, device, next="/billing")
    assert (answer.status_code, answer.json) == (200, {"next": "/billing"})
    assert guest.is_signed_in
    assert session.query(UserSession).order_by(UserSession.id.desc()).first().second_factor_at is not None
    lines = [vars(record) for record in caplog.records if record.name == "app.security"]
    assert [(line["event_name"], line["by"], line["user"]) for line in lines] == [("sign-in", "passkey", user.id)]


def test_what_is_not_signed_for_us_by_its_owner_gets_nobody_in(device: Device, ada: Browser, guest: Browser) -> None:
    assert add(ada, Device(flags=PRESENT, identifier=b"unverified" * 2)).status_code == 400
    for change in (
        {"site": "evil.example"},
        {"origin": "https://evil.example"},
        {"origin": "http://tollgate.example"},
        {"flags": PRESENT},
        {"flags": VERIFIED},
        {"identifier": b"another"},
        {"key": ec.generate_private_key(ec.SECP256R1())},
    ):
        answer = sign_in(guest, replace(device, **change), next="/billing")
        assert (answer.status_code, list(answer.json["errors"])) == (400, ["credential"]), change
        assert not guest.is_signed_in, change


def test_an_answer_counts_once_and_only_where_it_was_asked_for(
    device: Device, guest: Browser, new_browser: Callable[[], Browser]
) -> None:
    """A copy of the answer, with a copy of the cookie that it belongs to, is worth nothing afterwards."""
    options = ask(guest)
    before, credential = guest.client.get_cookie("session").value, json.dumps(device.signed(options))
    thief, other = new_browser(), new_browser()
    ask(other)
    assert send(other, "/login/passkey", credential=credential).status_code == 400
    assert send(guest, "/login/passkey", credential=credential).status_code == 200
    thief.client.set_cookie("session", before)
    assert send(thief, "/login/passkey", credential=credential).status_code == 400
    assert not thief.is_signed_in


def test_an_answer_that_comes_late_is_refused(device: Device, guest: Browser) -> None:
    options = ask(guest)
    with time_machine.travel(utcnow() + timedelta(minutes=6)):
        assert send(guest, "/login/passkey", credential=json.dumps(device.signed(options))).status_code == 400


def test_a_counter_that_goes_back_is_a_copy_of_the_device(device: Device, guest: Browser) -> None:
    statuses = []
    for device.count in (5, 6, 6, 5, 7):
        statuses.append(sign_in(guest, device).status_code)
    assert statuses == [200, 200, 400, 400, 200]


def test_the_password_is_asked_for_again_after_a_while(ada: Browser, post_office: PostOffice) -> None:
    with time_machine.travel(utcnow() + timedelta(minutes=11)):
        without = add(ada, Device())
        assert (without.status_code, list(without.json["errors"])) == (400, ["current_password"])
        assert add(ada, Device(), current_password=PASSWORD).status_code == 200
        assert ada.send("/settings/passkeys/1/remove").status_code == 400
        assert ada.send("/settings/passkeys/1/remove", current_password=PASSWORD).status_code == 302
        assert "My phone" in post_office.mails_to("ada@example.com")[-1]
    assert "My phone" not in ada.get("/settings").text


def test_a_removed_passkey_signs_nobody_in(device: Device, ada: Browser, guest: Browser) -> None:
    options = ask(guest)
    assert ada.send("/settings/passkeys/1/remove").status_code == 302
    assert send(guest, "/login/passkey", credential=json.dumps(device.signed(options))).status_code == 400


def test_another_persons_passkey_is_not_taken(
    device: Device, signed_in: Callable[..., Browser], session: Database
) -> None:
    eve = signed_in("eve")
    assert (add(eve, device).status_code, session.query(Passkey).count()) == (409, 1)


def test_one_may_have_so_many(ada: Browser, session: Database) -> None:
    user = User.with_email("ada@example.com")
    for number in range(MOST_PASSKEYS):
        Passkey.add(user.id, name="old", credential_id=bytes([number]), public_key=b"key", sign_count=0)
    session.commit()
    answer = add(ada, Device())
    assert (answer.status_code, answer.json["code"]) == (409, "too_many_passkeys")


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("how", ["reset", "change"])
def test_a_new_password_removes_passkeys_unless_they_are_kept(
    device: Device, ada: Browser, guest: Browser, session: Database, how: str, keep: bool
) -> None:
    fields = {"password": "another good password"} | ({"keep_passkeys": "1"} if keep else {})
    if how == "reset":
        link = MailedToken.issue(User.with_email("ada@example.com"), "reset")
        session.commit()
        guest.send(f"/password/reset/{link}", **fields)
    else:
        ada.send("/settings/password", current_password=PASSWORD, **fields)
    assert sign_in(guest, device).status_code == (200 if keep else 400)


def test_signing_out_everywhere_leaves_the_passkey(device: Device, ada: Browser, guest: Browser) -> None:
    sign_in(guest, device)
    ada.send("/settings/sessions/end")
    assert (guest.is_signed_in, sign_in(guest, device).status_code) == (False, 200)


def test_a_disabled_person_does_not_get_in(device: Device, guest: Browser, session: Database) -> None:
    User.with_email("ada@example.com").disable()
    session.commit()
    assert sign_in(guest, device).status_code == 400


def test_at_a_bare_address_there_are_none(ada: Browser) -> None:
    ada.client.application.config["BASE_URL"] = "http://127.0.0.1:5000"
    assert send(ada, "/login/passkey/options").status_code == 404
    assert "passkey" not in ada.get("/settings").text + ada.get("/login").text.lower()


def test_junk_is_refused_in_words(device: Device, guest: Browser) -> None:
    parts = st.sampled_from(["", "!", "A" * 9, "oA", "gQ", "__", "eyJ9", "\x00", "é", 1, None, [], {}, "[" * 9000])
    whole = st.fixed_dictionaries({
        "id": parts, "rawId": parts, "type": st.sampled_from(["public-key", [], 1]),
        "authenticatorAttachment": parts,
        "response": st.dictionaries(
            st.sampled_from(["clientDataJSON", "authenticatorData", "signature", "userHandle", "attestationObject"]),
            parts,
        ),
    })  # fmt: skip

    @settings(max_examples=10)
    @given(whole, st.booleans(), st.sampled_from(["/login/passkey", "/settings/passkeys"]))
    def is_refused(junk: dict[str, Any], is_near: bool, path: str) -> None:
        near = device.signed(ask(guest))
        near["response"] |= junk["response"] | {"signature": "AAAA"}
        credential = json.dumps(near if is_near else junk)
        assert send(guest, path, credential=credential).status_code in {400, 401}

    is_refused()
    assert send(guest, "/login/passkey", credential="[" * 19_000).status_code == 400
