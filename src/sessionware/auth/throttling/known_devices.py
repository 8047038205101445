"""The browsers that an account knows, because somebody has logged in there with its password.

Each has a cookie that says so, and with it a lane of its own: strangers who try passwords cannot keep its owner out
(OWASP, "Slow Down Online Guessing Attacks with Device Cookies"). The cookie logs nobody in, and survives the logout.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from contextlib import suppress
from typing import NamedTuple

from ..._checks import shown
from ..._hidden import HiddenText
from ...errors import ConfigError, SessionClosed
from ...session import Session
from ..users.base import User
from ..where import Where

#: Of the cookie's name, behind the session cookie's.
COMPANION = "known"

_DAY = 24 * 3600

#: Days for which a browser is known after its last login with a password.
DAYS = 180

#: Accounts that one browser is known to. A shared computer has a few users; a cookie has little room.
_MOST = 4

_FORMAT = b"\x01"
_ENTRY = struct.Struct(">16s16s16sI")


class Known(NamedTuple):
    """That an account knows this browser. Its digests lie in the seal, so they need no key, which would change."""

    name: bytes
    """Digest of the name that the account had then, to find out what is known before any look at the accounts."""
    account: bytes
    """Digest of its id, because a name may go to another account, or be another one's in another table; and of the hash
    of its password, so that whoever once knew the password is a stranger when there is another one."""
    device: bytes
    """Random. It stays the same as long as the browser is known: fresh ones would be fresh buckets of attempts."""
    day: int
    """Of the last login with the password, in days since the epoch."""

    def is_of(self, user: User | None) -> bool:
        """Whether it is this account that knows the browser, with the password that it has now."""
        return user is not None and hmac.compare_digest(self.account, _account(self.device, user))


class KnownDevices:
    """Knows browsers by their cookies, if that is wanted."""

    def __init__(self, *, is_on: bool) -> None:
        if not isinstance(is_on, bool):
            raise ConfigError(f"known_devices={shown(is_on)}: write True or False.")
        self._is_on = is_on

    def find(self, where: Where, name: str) -> Known | None:
        """What an account of this name knows of the browser. The accounts themselves are not asked."""
        if not self._is_on or where.session is None:
            return None
        tried = _name(name)
        return next((known for known in _read(where.session, where.now()) if known.name == tried), None)

    def remember(self, where: Where, user: User) -> bool:
        """Let the account know this browser from now on. False if it did not before, and could have."""
        session = self._session(where)
        if session is None:
            return True
        found = _read(session, where.now())
        its = _of(user, found)
        device = secrets.token_bytes(16) if its is None else its.device
        _put_first(session, Known(_name(user.key), _account(device, user), device, where.now() // _DAY), its, found)
        return its is not None

    def follow(self, where: Where, before: User, user: User) -> None:
        """Let the account know the browser that it knew before its name, or the hash of its password, changed."""
        session = self._session(where)
        if session is None:
            return
        found = _read(session, where.now())
        its = _of(before, found)
        if its is not None:
            now = its._replace(name=_name(user.key), account=_account(its.device, user))
            with suppress(SessionClosed):  # the headers are out; then the browser is new once more
                _put_first(session, now, its, found)

    def _session(self, where: Where) -> Session | None:
        """The request's session, if browsers are to be known, and this one can be sent a cookie."""
        return where.session if self._is_on and where.on_entry is not None else None


def _of(user: User, found: list[Known]) -> Known | None:
    return next((known for known in found if known.is_of(user)), None)


def _put_first(session: Session, first: Known, replaced: Known | None, found: list[Known]) -> None:
    others = [known for known in found if known is not replaced and known.name != first.name]
    _send(session, [first, *others][:_MOST])


def _read(session: Session, now: int) -> list[Known]:
    """All that the browser's cookies say and that is still good, the latest login first, each name once."""
    found: dict[bytes, Known] = {}
    for value in session._companions(COMPANION):
        for known in _opened(session, value):
            # One from the future was issued before a clock was set back, and nobody can have made it up.
            if known.day > now // _DAY - DAYS and (known.name not in found or found[known.name].day < known.day):
                found[known.name] = known
    return sorted(found.values(), key=lambda known: known.day, reverse=True)


def _opened(session: Session, value: str) -> list[Known]:
    """What one cookie says. One that is damaged, or another site's, says nothing."""
    try:
        opened = session.manager._site.keys.known.open(urlsafe_b64decode(value + "=" * (-len(value) % 4)))
    except ValueError:
        return []
    plain = opened[0] if opened is not None else b""
    if plain[:1] != _FORMAT or (len(plain) - 1) % _ENTRY.size:
        return []
    return [Known(*entry) for entry in _ENTRY.iter_unpack(plain[1:])]


def _send(session: Session, entries: list[Known]) -> None:
    plain = _FORMAT + b"".join(_ENTRY.pack(*entry) for entry in entries)
    value = urlsafe_b64encode(session.manager._site.keys.known.seal(plain)).rstrip(b"=").decode()
    session._send_companion(COMPANION, value, DAYS * _DAY)


def _account(device: bytes, user: User) -> bytes:
    text = HiddenText(f"{user.id}\0{user.password_hash or ''}")
    return hmac.digest(device, text.encode("utf-8", "surrogatepass"), "sha256")[:16]


def _name(key: str) -> bytes:
    return hashlib.sha256(f"known name {key}".encode("utf-8", "surrogatepass")).digest()[:16]
