"""The dict that Beaker calls a session. `sessionware.contrib.beaker` says how a request gets one."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from copy import deepcopy
from typing import Any
from uuid import uuid4

from sessionware import ConfigError, Opened, SessionClosed

from ._beaker_options import Options, Site, remembered, site_of

#: What a page cannot change for its own session, because the whole site has one cookie, and the option to set instead.
_OF_THE_SITE = {
    "domain": "cookie_domain",
    "path": "cookie_path",
    **{name: name for name in ("httponly", "key", "samesite", "secure", "timeout")},
}

#: What Beaker adds to the data. They make no session by themselves, and when it was used is in its record.
_ADDED = frozenset({"_accessed_time", "_creation_time", "_id"})


class Session(dict[str, Any]):
    """What Beaker calls a session: a dict of the page's own, whose changes count once they are saved.

    Only the differences are saved, so a page that saves overwrites nothing that another one has changed meanwhile.
    Made like this, it is opened by its id and has no cookie, as `environ["beaker.get_session"]()` has it.
    """

    key: str
    domain: str | None
    path: str
    timeout: int | None
    httponly: bool
    samesite: str
    secure: bool
    was_invalidated: bool
    _loaded: dict[str, Any]  # what `revert()` goes back to
    _seen: dict[str, Any]  # what our session has, as far as this page knows
    _whose: tuple[str | None, str | None]  # the id and the user of the session that it was read from

    def __init__(
        self, request: Mapping[str, Any] | None = None, id: str | None = None, use_cookies: bool = True, **options: Any
    ) -> None:
        given = Options(options)
        del options  # the secret, which an error report would show
        if request and request.get("cookie") and use_cookies and id is None:
            raise ConfigError("Session(request) reads no cookie: write SessionObject(environ, **options).")
        site = site_of(given)
        opened = site.open(id)
        self._start = start_of(opened, site)
        self._begin(site, opened)

    def _begin(self, site: Site, opened: Opened) -> None:
        cookie, own = site.cookie, self.__dict__  # past `__setattr__`
        own.update(key=cookie.name, domain=cookie.domain, path=cookie.path, timeout=site.timeout)
        own.update(httponly=True, samesite=cookie.samesite, secure=cookie.secure is True)
        self._site, self._opened, self._remember = site, opened, site.remember
        self.was_invalidated = False
        self._read()

    @property
    def id(self) -> str:
        """What opens the session, as its cookie does; a passing one until it is stored. For logs, take `["_id"]`."""
        return self._opened.cookie or self._passing_id

    @property
    def is_new(self) -> bool:
        """Whether nothing is stored yet."""
        return self._opened.session.is_new

    @property
    def created(self) -> float:
        """When it was first stored, in seconds since the epoch."""
        return float(self._seen.get("_creation_time") or self._opened.session.created_at or self._read_at)

    @property
    def last_accessed(self) -> float | None:
        """When it was last used, to about a minute; None if it is new."""
        session, limits = self._opened.session, self._site.manager.timeouts
        if session.expires_at is None:
            return None
        idle: Any = self._site.remember or (limits.anonymous if session.username is None else limits.idle)
        return min(max(float(session.expires_at - idle), self.created), self._read_at)

    def __setattr__(self, name: str, value: object) -> None:
        if name in _OF_THE_SITE and value != getattr(self, name):
            option = f"session.{_OF_THE_SITE[name]}"
            raise ConfigError(f"session.{name} = {value!r}: that is the same for the whole site. Set {option} there.")
        if name == "cookie_expires":  # what a login with "remember me" assigns
            self._remember = remembered(Options(cookie_expires=value), self.timeout)
            self._opened.session.remember(self._remember, sliding=self._remember is not None)
        super().__setattr__(name, value)

    def has_key(self, name: str) -> bool:
        """Whether there is such a key."""
        return name in self

    def save(self, accessed_only: bool = False) -> None:
        """Save now. That it was used needs no saving."""
        if not accessed_only:
            self._put(even_if_empty=True)
            self._wish()
            self._opened.session.commit()

    def load(self) -> None:
        """Read it afresh. What is not saved is lost."""
        self._opened.session.reload()
        self._read()

    def revert(self) -> None:
        """Take back what the page has changed, though it was saved since."""
        super().clear()
        self.update(deepcopy(self._loaded))
        self._show()

    def delete(self) -> None:
        """End the session, and remove its cookie."""
        self._opened.session.invalidate()
        self._loaded, self._seen, self._whose = {}, {}, self._owner()
        super().clear()

    def invalidate(self) -> None:
        """End the session, and begin a new one."""
        self.delete()
        self.was_invalidated = True
        self._show()

    def regenerate_id(self) -> None:
        """Give the cookie a new value, and keep the data."""
        self._opened.session.renew_token()

    def lock(self) -> None:
        """Do nothing: there are no locks, and no write is lost."""

    unlock = lock

    def _read(self) -> None:
        self._loaded = deepcopy(dict(self._opened.session))
        self._seen, self._whose = self._loaded, self._owner()
        super().clear()
        self.update(deepcopy(self._loaded))
        self._show()

    def _show(self) -> None:
        self._read_at, self._passing_id = time.time(), uuid4().hex
        name = self._seen.get("_id") or self._opened.session.id or self._passing_id
        self.update(_creation_time=self.created, _accessed_time=self._read_at, _id=name)

    def _owner(self) -> tuple[str | None, str | None]:
        session = self._opened.session
        return session.id, session.user_id or session.username

    def _follow(self) -> None:
        """Read anew if our session was ended beneath the page, or is another user's now: this was not for the next one.

        What begins, or is logged in to, keeps its data, and so does the page.
        """
        before, self._whose = self._whose, self._owner()
        if any(was is not None and was != now for was, now in zip(before, self._whose, strict=True)):
            self._read()

    def _wish(self) -> None:
        """Have a session or a login of this request outlive the browser, if the option or the page says so."""
        session, began_at = self._opened.session, self._start[0]
        if self._remember is None:
            return
        if (session.authenticated_at or 0) >= began_at:
            session.commit()  # in this second; if it was in this request, the cookie is another one now
        if session.is_new or self._opened.cookie != self._start[1]:
            with suppress(SessionClosed):  # the headers are out, and it was wished before
                session.remember(self._remember, sliding=True)

    def _put(self, *, even_if_empty: bool = False) -> None:
        """Change in our session what the page has changed since the last time."""
        session, seen = self._opened.session, self._seen
        page = {key: value for key, value in self.items() if key != "_accessed_time"}
        changed = {key: value for key, value in page.items() if key not in seen or not _is_same(value, seen[key])}
        removed = seen.keys() - page.keys()
        if changed.keys() <= _ADDED and not removed and not even_if_empty:
            return
        for key in removed:
            session.pop(key, None)
        for key, value in changed.items():
            session[key] = value  # first as it is: what cannot be stored is refused by its type
            session[key] = deepcopy(value)
        self._seen = deepcopy(page)


def start_of(opened: Opened, site: Site) -> tuple[int, str | None]:
    """When the request began, and the cookie that it sent. That asks the store for nothing."""
    return int(time.time()), None if site.remember is None else opened.cookie


def _is_same(one: Any, other: Any) -> bool:
    """Whether they are stored alike. Unlike `==`, 1 is not True, `Decimal("1.0")` is not 1.00, and order counts."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return _is_same(list(one.items()), list(other.items()))
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(_is_same, one, other))
    if isinstance(one, set):
        return sorted(map(repr, one)) == sorted(map(repr, other))
    return bool(one == other) if isinstance(one, (str, bytes)) else repr(one) == repr(other)
