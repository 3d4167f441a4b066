"""Outgoing webhooks at work: signed, sent to checked addresses only, tried again later and later."""

import http.client
import ipaddress
import logging
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

from flask import current_app

from app.extensions import db
from app.models.base import utcnow
from app.models.catalog.setting import Setting
from app.models.operations.outgoing_webhook import WebhookDelivery

PATIENCE = 5.0
"""Seconds for a whole attempt, from the connection to the status, however it is spread."""

TURN = 20.0
"""Seconds of a sweep: other jobs wait behind it."""

LONGEST_OUTCOME = 200
TRANSLATED = ipaddress.ip_network("64:ff9b::/96")
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

log = logging.getLogger(__name__)


class Forbidden(Exception):
    """The address is none of the public internet."""


def sweep() -> int:
    """Send what is due, for a turn; returns how many attempts that were. One that keeps us waiting is asked once."""
    due = [] if Setting.get("is_paused") else WebhookDelivery.due()
    until, slow, count = time.monotonic() + TURN, set[int](), 0
    db.session.rollback()
    for delivery_id, endpoint_id in due:
        if time.monotonic() > until:
            break
        if endpoint_id in slow:
            continue
        count += 1
        if not deliver(delivery_id):
            slow.add(endpoint_id)
    return count


def deliver(delivery_id: int) -> bool:
    """One attempt; whether it took half of its time at most. No transaction is open while the other side is awaited."""
    delivery = WebhookDelivery.claim(delivery_id)
    if delivery is None:
        db.session.rollback()
        return True
    body = delivery.body.encode()
    headers = {
        "Host": urlsplit(delivery.endpoint.url).netloc,
        "Content-Type": "application/json",
        "User-Agent": "Tollgate",
        "Tollgate-Signature": delivery.endpoint.signature(body, utcnow()),
    }
    url, event = delivery.endpoint.url, delivery.event
    db.session.commit()
    began = time.monotonic()
    outcome, is_taken = attempt(url, body, headers)
    is_quick = time.monotonic() - began < PATIENCE / 2
    db.session.get_one(WebhookDelivery, delivery_id).ended(outcome[:LONGEST_OUTCOME], is_taken=is_taken)
    db.session.commit()
    if not is_taken:
        log.warning("webhook not taken", extra={"delivery": delivery_id, "event": event, "reason": outcome})
    return is_quick


def attempt(url: str, body: bytes, headers: dict[str, str]) -> tuple[str, bool]:
    """What came of it, and whether that was a 2xx. Redirects are not followed, and answers are not read."""
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        with connected(parts.scheme, parts.hostname or "", parts.port) as connection:
            connection.request("POST", path, body=body, headers=headers)
            status = connection.getresponse().status
    except Forbidden as error:
        return str(error), False
    except (OSError, http.client.HTTPException, UnicodeError) as error:
        return f"no answer: {type(error).__name__}", False
    return str(status), 200 <= status < 300


@contextmanager
def connected(scheme: str, host: str, port: int | None) -> Iterator[http.client.HTTPConnection]:
    """To an address that was looked up and checked here: what the name leads to later does not matter.

    It is cut off once its time is over: who answers byte by byte would be waited for without end.
    """
    port = port or (443 if scheme == "https" else 80)
    line = socket.create_connection((checked_address(host, port), port), timeout=PATIENCE)
    if scheme == "https":
        context = ssl.create_default_context()
        line = context.wrap_socket(line, server_hostname=host, do_handshake_on_connect=False)
    end = threading.Timer(PATIENCE, cut, (line,))
    end.start()
    try:
        if isinstance(line, ssl.SSLSocket):
            line.do_handshake()
        connection = http.client.HTTPConnection(host, port)
        connection.sock = line
        yield connection
    finally:
        end.cancel()
        line.close()


def cut(line: socket.socket) -> None:
    """Whoever reads or writes there is told that it is over; of a TLS socket too, below its encryption."""
    with suppress(OSError):
        socket.socket.shutdown(line, socket.SHUT_RDWR)


def checked_address(host: str, port: int) -> str:
    """The first address of a name. Forbidden where, in production, any of them is not of the public internet."""
    infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [str(info[4][0]) for info in infos]
    is_strict = current_app.config["APP_ENV"] == "production"
    if is_strict and not all(is_public(ipaddress.ip_address(address.partition("%")[0])) for address in addresses):
        raise Forbidden("the address is not of the public internet")
    return addresses[0]


def is_public(address: Address) -> bool:
    """Also of what an IPv6 address carries: mapped, translated or tunnelled IPv4."""
    if isinstance(address, ipaddress.IPv6Address):
        carried = address.ipv4_mapped or address.sixtofour
        if address in TRANSLATED:
            carried = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if carried is not None:
            return is_public(carried)
        if address.teredo is not None:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved
