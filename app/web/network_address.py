"""The network a request comes from, as limits count it. security.md 27."""

import re
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network

from flask import request

WITH_PORT = re.compile(r"\[(.+)\](?::\d+)?|([^:]+):\d+")
UNKNOWN = "unknown"
"""All whose address cannot be read count as one."""

LONGEST = 100
"""Characters of an address, with its zone and port: what is longer is not remembered either."""


def network() -> str:
    """The network that this request counts for."""
    return network_of(request.remote_addr)


def network_of(written: str | None) -> str:
    """An IPv4 address, or the /64 that one owner of IPv6 addresses has at hand; with or without port and brackets."""
    text = (written or "").strip()
    return network_of_address(text) if len(text) <= LONGEST else UNKNOWN


@lru_cache(maxsize=10_000)
def network_of_address(text: str) -> str:
    if match := WITH_PORT.fullmatch(text):
        text = match[1] or match[2]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return UNKNOWN
    if not isinstance(address, IPv6Address):
        return str(address)
    return str(address.ipv4_mapped or ip_network((address, 64), strict=False))
