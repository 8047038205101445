"""Beaker's sessions on sessionware: an application, an ini file and libraries written for Beaker stay as they are.

    from sessionware.contrib.beaker import SessionMiddleware      # was: from beaker.middleware import SessionMiddleware

    app = SessionMiddleware(app, {"session.secret": secret, "session.type": "file", "session.data_dir": "data"})

`environ["beaker.session"]` and `environ["beaker.get_session"]` are there as before. `get_session(environ)` and `Auth`
work on the same session. For libraries that import from Beaker themselves, call `install()` first.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import deepcopy
from typing import Any
from uuid import uuid4

from sessionware import ConfigError, Opened, SessionManager

from ._beaker_options import Options, Site, options_of, site_of

Environ = dict[str, Any]
StartResponse = Callable[..., Callable[[bytes], object]]
WSGIApplication = Callable[[Environ, StartResponse], Iterable[bytes]]

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
    was_invalidated: bool
    _loaded: dict[str, Any]  # what `revert()` goes back to
    _seen: dict[str, Any]  # what our session has, as far as this page knows

    def __init__(
        self, request: Mapping[str, Any] | None = None, id: str | None = None, use_cookies: bool = True, **options: Any
    ) -> None:
        if request and request.get("cookie") and use_cookies and id is None:
            raise ConfigError("Session(request) reads no cookie: write SessionObject(environ, **options).")
        site = site_of(Options(options))
        del options  # the secret, which an error report would show
        self._begin(site, site.open(id))

    def _begin(self, site: Site, opened: Opened) -> None:
        self._site, self._opened = site, opened
        self.key, self.domain, self.path = site.cookie.name, site.cookie.domain, site.cookie.path
        self.timeout, self.was_invalidated = site.timeout, False
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
        if name in ("domain", "path") and value != getattr(self, name, value):
            raise ConfigError(f"session.{name} = {value!r}: one cookie is for the whole site. Set cookie_{name}.")
        super().__setattr__(name, value)

    def has_key(self, name: str) -> bool:
        """Whether there is such a key."""
        return name in self

    def save(self, accessed_only: bool = False) -> None:
        """Save now. That it was used needs no saving."""
        if not accessed_only:
            self._put(even_if_empty=True)
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
        self._loaded, self._seen = {}, {}
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
        self._seen = self._loaded
        super().clear()
        self.update(deepcopy(self._loaded))
        self._show()

    def _show(self) -> None:
        self._read_at, self._passing_id = time.time(), uuid4().hex
        name = self._seen.get("_id") or self._opened.session.id or self._passing_id
        self.update(_creation_time=self.created, _accessed_time=self._read_at, _id=name)

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
        if self._site.remember is not None and session.is_new:
            session.remember(self._site.remember, sliding=True)


class SessionObject:
    """The session of a request, in `environ["beaker.session"]`. It is read from the store at its first use.

    Called with the environ and the options, as libraries do. They then call `persist()` before the headers go out, and
    send what it leaves in `_headers`. Inside our `SessionMiddleware` there is nothing left to send.
    """

    def __init__(self, environ: Environ, **options: Any) -> None:
        params = Options(options)
        site = site_of(params)
        opened = site.manager.open(environ, environ_key=site.environ_key)  # which asks the store for nothing yet
        self.__dict__.update(_site=site, _opened=opened, _params=params, _sess=None, _dirty=False, _is_saved=False)
        self.__dict__.update(_headers={"cookie_out": None, "set_cookie": False})

    def _session(self) -> Session:
        state = self.__dict__
        session: Session | None = state["_sess"]
        if session is None:
            session = Session.__new__(Session)
            session._begin(state["_site"], state["_opened"])
            state["_sess"] = session
        return session

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session(), name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self._session(), name, value)

    def __getitem__(self, key: str) -> Any:
        return self._session()[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._session()[key] = value

    def __delitem__(self, key: str) -> None:
        del self._session()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._session())

    def __contains__(self, key: object) -> bool:
        return key in self._session()

    def __repr__(self) -> str:
        """The data, if it was read. Whoever shows a whole environ must not read it."""
        session = self.__dict__["_sess"]
        return "<SessionObject that nobody has used>" if session is None else repr(session)

    @property
    def id(self) -> str:
        """What opens the session. If `save()` was called, it is stored first, so that it keeps this id."""
        if self.__dict__["_is_saved"]:
            self._session().save()
        return self._session().id

    def get_by_id(self, id: str) -> Session | None:
        """Another session, by its id; None if there is none (any more)."""
        session = Session(id=id, **self.__dict__["_params"])
        return None if session.is_new else session

    def save(self) -> None:
        """Have what was changed, and what will be, saved with the response; not if that is a server error."""
        self.__dict__.update(_dirty=True, _is_saved=True)
        if self.__dict__["_sess"] is not None:
            self._session()._put()

    def delete(self) -> None:
        """End the session, and remove its cookie."""
        self._session().delete()
        self.__dict__.update(_dirty=True, _is_saved=False)

    def persist(self) -> None:
        """Save what is to be saved. Called before the response's headers go out."""
        state, opened = self.__dict__, self.__dict__["_opened"]
        if not self.accessed():
            return
        if state["_sess"] is not None and (state["_is_saved"] or state["_site"].saves_always):
            self._session()._put()
        opened.finish()
        cookies = [value for name, value in opened.headers([]) if name == "Set-Cookie"]
        state["_headers"] = {"cookie_out": cookies[-1] if cookies else None, "set_cookie": bool(cookies)}
        opened.close()

    def dirty(self) -> bool:
        """Whether `save()` or `delete()` was called."""
        return bool(self.__dict__["_dirty"])

    def accessed(self) -> bool:
        """Whether anybody has used it, or changed our session beneath it."""
        return self.__dict__["_sess"] is not None or bool(self.__dict__["_opened"].modified)


CookieSession = Session
"""Beaker's session that is all in the cookie. Here data is on the server."""


class SessionMiddleware:
    """Wraps a WSGI application so that its requests have Beaker's session, kept by sessionware.

    Args:
        wrap_app: The WSGI application.
        config: Beaker's options, with the prefix `session.` or `beaker.session.`; others in it are ignored.
        environ_key: Where the session is kept in the environ.
        store: Where sessions live. Without one, `type`, `data_dir` and `url` say it, or `store` as a URL.
        options: Options without the prefix.

    Raises:
        ConfigError: An option is wrong, unknown or refused; the message says what to write instead.
    """

    app: WSGIApplication
    environ_key: str
    options: Mapping[str, Any]

    def __init__(
        self,
        wrap_app: WSGIApplication,
        config: Mapping[str, Any] | None = None,
        environ_key: str = "beaker.session",
        **options: Any,
    ) -> None:
        self.options = options_of(config or {}, options, environ_key)
        self.app, self.environ_key = wrap_app, environ_key
        self._site = site_of(self.options)
        self._wrapped = self.manager.wrap(self._serve, environ_key=self._site.environ_key)

    @property
    def manager(self) -> SessionManager:
        """The `SessionManager` that lists, ends and exports this site's sessions."""
        return self._site.manager

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request (PEP 3333)."""
        return self._wrapped(environ, start_response)

    def _serve(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        session = environ[self.environ_key] = SessionObject(environ, **self.options)
        environ["beaker.get_session"] = self._get_session
        if "paste.testing_variables" in environ and "webtest_varname" in self.options:
            environ["paste.testing_variables"][self.options["webtest_varname"]] = session

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:
            if not status.startswith("5") and session.accessed():  # of an error, nothing is saved
                session.persist()
            return start_response(status, headers, exc_info)

        return self.app(environ, start)

    def _get_session(self, id: str | None = None) -> Session:
        return Session(id=id, **self.options)


def session_filter_app_factory(
    app: WSGIApplication, global_conf: Mapping[str, str], **options: Any
) -> SessionMiddleware:
    """For Paste Deploy: `paste.filter_app_factory = sessionware.contrib.beaker:session_filter_app_factory`."""
    return SessionMiddleware(app, global_conf, **options)


def install() -> None:
    """Put these classes in the place of Beaker's, for libraries that import them from there, such as TurboGears.

    Beaker stays installed: its cache and its options are untouched. Call it before the first import of such a library;
    `ConfigError` says which one came first.
    """
    import beaker.middleware
    import beaker.session

    ours = {each.__name__: each for each in (Session, SessionObject, SessionMiddleware)} | {"CookieSession": Session}
    places = [vars(beaker.session), vars(beaker.middleware)]
    theirs = {place[name] for place in places for name in ours.keys() & place.keys()} - {*ours.values()}
    for name, module in list(sys.modules.items()):
        names = getattr(module, "__dict__", {})
        if not name.startswith("beaker.") and any(names.get(each.__name__) is each for each in theirs):
            raise ConfigError(f"{name} was already imported, with Beaker's own sessions. Call install() before that.")
    for place in places:
        place.update((name, ours[name]) for name in ours.keys() & place.keys())


def _is_same(one: Any, other: Any) -> bool:
    """Whether they are stored alike. Unlike `==`, 1 is not True."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_is_same(value, other[key]) for key, value in one.items())
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(_is_same, one, other))
    return bool(one == other)
