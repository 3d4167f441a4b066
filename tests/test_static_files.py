"""Styles and scripts travel light; pages, which carry secrets, as they are."""

import gzip

from flask.testing import FlaskClient


def test_a_script_is_compressed_for_whoever_takes_it(client: FlaskClient) -> None:
    plain = client.get("/static/js/chat.js", headers={"Accept-Encoding": "identity"}, buffered=True)
    light = client.get("/static/js/chat.js", headers={"Accept-Encoding": "br, gzip"}, buffered=True)

    assert (light.headers["Content-Encoding"], "Accept-Encoding" in light.vary) == ("gzip", True)
    assert gzip.decompress(light.data) == plain.data
    assert int(light.headers["Content-Length"]) == len(light.data) < len(plain.data) / 2
    assert ("Content-Encoding" in plain.headers, "Accept-Encoding" in plain.vary) == (False, True)


def test_a_script_that_has_not_changed_is_not_sent_again(client: FlaskClient) -> None:
    first = client.get("/static/js/chat.js", headers={"Accept-Encoding": "gzip"}, buffered=True)
    again = {"Accept-Encoding": "gzip", "If-None-Match": first.headers["ETag"]}
    answer = client.get("/static/js/chat.js", headers=again, buffered=True)

    assert (answer.status_code, answer.data) == (304, b"")


def test_a_page_with_secrets_is_not_compressed(client: FlaskClient) -> None:
    answer = client.get("/login", headers={"Accept-Encoding": "gzip"}, buffered=True)
    assert "Content-Encoding" not in answer.headers
