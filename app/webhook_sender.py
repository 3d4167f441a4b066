"""Outgoing webhooks at work: signed, sent to checked addresses only, tried again later and later."""

from __future__ import annotations

import http.client
import ipaddress
import logging
import socket
import ssl
from urllib.parse import urlsplit

from flask import current_app

from app.extensions import db
from app.models.base import utcnow
from app.models.operations.outgoing_webhook import WebhookDelivery

PATIENCE = 5.0
LONGEST_OUTCOME = 200
TRANSLATED = ipaddress.ip_network("64:ff9b::/96")
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

log = logging.getLogger(__name__)


class Forbidden(Exception):
    """The address is none of the public internet."""


def sweep() -> int:
    """Send what is due; returns how many attempts that were."""
    due = WebhookDelivery.due()
    db.session.rollback()
    for delivery_id in due:
        deliver(delivery_id)
    return len(due)


def deliver(delivery_id: int) -> None:
    """One attempt. No transaction is open while the other side is waited for."""
    delivery = WebhookDelivery.claim(delivery_id)
    if delivery is None:
        db.session.rollback()
        return
    body = delivery.body.encode()
    headers = {
        "Host": urlsplit(delivery.endpoint.url).netloc,
        "Content-Type": "application/json",
        "User-Agent": "Tollgate",
        "Tollgate-Signature": delivery.endpoint.signature(body, utcnow()),
    }
    url, event = delivery.endpoint.url, delivery.event
    db.session.commit()
    outcome, is_taken = attempt(url, body, headers)
    db.session.get_one(WebhookDelivery, delivery_id).ended(outcome[:LONGEST_OUTCOME], is_taken=is_taken)
    db.session.commit()
    if not is_taken:
        log.warning("webhook not taken", extra={"delivery": delivery_id, "event": event, "reason": outcome})


def attempt(url: str, body: bytes, headers: dict[str, str]) -> tuple[str, bool]:
    """What came of it, and whether that was a 2xx. Redirects are not followed, and answers are not read."""
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection = connect(parts.scheme, parts.hostname or "", parts.port)
        try:
            connection.request("POST", path, body=body, headers=headers)
            status = connection.getresponse().status
        finally:
            connection.close()
    except Forbidden as error:
        return str(error), False
    except (OSError, http.client.HTTPException, UnicodeError) as error:
        return f"no answer: {type(error).__name__}", False
    return str(status), 200 <= status < 300


def connect(scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
    """To an address that was looked up and checked here: what the name leads to later does not matter."""
    port = port or (443 if scheme == "https" else 80)
    address = checked_address(host, port)
    line = socket.create_connection((address, port), timeout=PATIENCE)
    connection = http.client.HTTPConnection(host, port, timeout=PATIENCE)
    if scheme == "https":
        line = ssl.create_default_context().wrap_socket(line, server_hostname=host)
    connection.sock = line
    return connection


def checked_address(host: str, port: int) -> str:
    """The first address of a name. Forbidden where, in production, any of them is not of the public internet."""
    infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [str(info[4][0]) for info in infos]
    is_strict = current_app.config["APP_ENV"] == "production"
    if is_strict and not all(
        is_public(ipaddress.ip_address(address.partition("%")[0])) for address in addresses
    ):
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
