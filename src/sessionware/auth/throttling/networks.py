"""Whose address it is: what one visitor can change about an address must not make him another visitor."""

from __future__ import annotations

import ipaddress
import re

#: What a connection through a socket of the machine itself has in place of an address.
_LOCAL_NAMES = frozenset({"", "localhost", "unix", "unix:"})

#: Characters. Beyond it there is no address, only what somebody made up.
_MOST = 100

#: Bits of an IPv6 address that are a network's, within which everybody chooses addresses at will (RFC 4291 §2.5.4).
_NETWORK = 64

#: What carries an IPv4 address in its last 32 bits: mapped (RFC 4291 §2.5.5.2) and translated (RFC 6052 §2.1).
_CARRIERS = (ipaddress.IPv6Network("::ffff:0:0/96"), ipaddress.IPv6Network("64:ff9b::/96"))

_bracketed = re.compile(r"\[([^\]]*)\](?::\d*)?").fullmatch
_with_port = re.compile(r"([\d.]+):\d*").fullmatch


def is_list(address: object) -> bool:
    """Whether it is several addresses, as in `X-Forwarded-For`."""
    return address is not None and "," in str(address)


def network_of(address: object) -> str | None:
    """The network that counts as one client: an IPv4 address, or the /64 of an IPv6 address; None for this machine.

    What is no address is taken as it is, because a function of the application's may name its clients otherwise. But of
    a list the last entry counts: a function that returns all of `X-Forwarded-For` would otherwise let visitors, who
    write what is in front there, be another client with each attempt.
    """
    text = "" if address is None else str(address).rpartition(",")[2].strip()[:_MOST]
    if text.lower() in _LOCAL_NAMES or text.lower().startswith("unix:"):
        return None
    found = _bracketed(text) or _with_port(text)
    try:
        parsed = ipaddress.ip_address((found[1] if found else text).partition("%")[0])
    except ValueError:
        return text
    if isinstance(parsed, ipaddress.IPv6Address):
        if not any(parsed in carrier for carrier in _CARRIERS):
            return None if parsed.is_loopback else str(ipaddress.IPv6Network((int(parsed), _NETWORK), strict=False))
        parsed = ipaddress.IPv4Address(int(parsed) & 0xFFFFFFFF)
    return None if parsed.is_loopback else str(parsed)
