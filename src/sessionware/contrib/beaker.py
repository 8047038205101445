"""Beaker's sessions on sessionware: an application, an ini file and libraries written for Beaker stay as they are.

    from sessionware.contrib.beaker import SessionMiddleware      # was: from beaker.middleware import SessionMiddleware

    app = SessionMiddleware(app, {"session.secret": secret, "session.type": "file", "session.data_dir": "data"})

`environ["beaker.session"]` and `environ["beaker.get_session"]` are there as before. `get_session(environ)` and `Auth`
work on the same session. For libraries that import from Beaker themselves, call `install()` first.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from sessionware import ConfigError, SessionManager

from ._beaker_options import Options, options_of, site_of
from ._beaker_session import Session, start_of

__all__ = ["CookieSession", "Session", "SessionMiddleware", "SessionObject", "install", "session_filter_app_factory"]

_Environ = dict[str, Any]
_StartResponse = Callable[..., Callable[[bytes], object]]
_WSGIApplication = Callable[[_Environ, _StartResponse], Iterable[bytes]]


class SessionObject:
    """The session of a request, in `environ["beaker.session"]`. It is read from the store at its first use.

    Called with the environ and the options, as libraries do. They then call `persist()` before the headers go out, and
    send what it leaves in `_headers`. Inside our `SessionMiddleware` there is nothing left to send.
    """

    def __init__(self, environ: _Environ, **options: Any) -> None:
        params = Options(options)
        del options  # the secret, which an error report would show
        site = site_of(params)
        opened = site.manager.open(environ, environ_key=site.environ_key)  # which asks the store for nothing yet
        self.__dict__.update(_site=site, _opened=opened, _params=params, _sess=None, _dirty=False, _is_saved=False)
        self.__dict__.update(_start=start_of(opened, site), _headers={"cookie_out": None, "set_cookie": False})

    def _session(self) -> Session:
        state = self.__dict__
        session: Session | None = state["_sess"]
        if session is None:
            session = Session.__new__(Session)
            session._start = state["_start"]
            session._begin(state["_site"], state["_opened"])
            state["_sess"] = session
        session._follow()
        return session

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # what `copy` asks for, before there is anything in the copy
            raise AttributeError(name)
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
        session = self.__dict__.get("_sess")  # an error report may show one that could not be made
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
        session = self._session()
        if state["_is_saved"] or state["_site"].saves_always:
            session._put()
        session._wish()
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

    app: _WSGIApplication
    environ_key: str
    options: Mapping[str, Any]

    def __init__(
        self,
        wrap_app: _WSGIApplication,
        config: Mapping[str, Any] | None = None,
        environ_key: str = "beaker.session",
        **options: Any,
    ) -> None:
        settings, given = Options(config or {}), Options(options)
        del config, options  # the secret, which an error report would show
        self.options = options_of(settings, given, environ_key)
        self.app, self.environ_key = wrap_app, environ_key
        self._site = site_of(self.options)
        self._wrapped = self.manager.wrap(self._serve, environ_key=self._site.environ_key)

    @property
    def manager(self) -> SessionManager:
        """The `SessionManager` that lists, ends and exports this site's sessions."""
        return self._site.manager

    def __call__(self, environ: _Environ, start_response: _StartResponse) -> Iterable[bytes]:
        """Serve one request (PEP 3333)."""
        return self._wrapped(environ, start_response)

    def _serve(self, environ: _Environ, start_response: _StartResponse) -> Iterable[bytes]:
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
    app: _WSGIApplication, global_conf: Mapping[str, str], **options: Any
) -> SessionMiddleware:
    """For Paste Deploy: `paste.filter_app_factory = sessionware.contrib.beaker:session_filter_app_factory`."""
    settings, given = Options(global_conf or {}), Options(options)
    del global_conf, options  # the secret, which an error report would show
    return SessionMiddleware(app, settings, **given)


def install() -> None:
    """Put these classes in the place of Beaker's, for libraries that import them from there, such as TurboGears.

    Beaker stays installed: its cache and its options are untouched. Call it before the first import of such a library;
    `ConfigError` says which one came first.
    """
    import beaker.middleware
    import beaker.session

    ours = {each.__name__: each for each in (Session, SessionObject, SessionMiddleware)} | {"CookieSession": Session}
    places = [vars(beaker.session), vars(beaker.middleware)]
    found = {place[name] for place in places for name in ours.keys() & place.keys()}
    theirs = {id(each) for each in found - {*ours.values()}}  # under whatever name they were imported
    for name, module in list(sys.modules.items()):
        names = getattr(module, "__dict__", {})
        if not name.startswith("beaker.") and not theirs.isdisjoint(map(id, list(names.values()))):
            raise ConfigError(f"{name} was already imported, with Beaker's own sessions. Call install() before that.")
    for place in places:
        place.update((name, ours[name]) for name in ours.keys() & place.keys())
