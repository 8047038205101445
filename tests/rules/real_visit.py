"""One request to a real middleware, with the acts of `model_browser.Visit`, so that a test can do everything twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal
from wsgiref.util import setup_testing_defaults

from sessionware import SessionMiddleware, Timeouts, get_session
from tests.rules.model_browser import SHELF, Limits, Sight, empty_of, value_of


class Body:
    """A body that starts its response when it is asked for the first chunk, so that a test may act before and after."""

    status = "200 OK"
    raises = False

    def __init__(self, start_response: Any) -> None:
        self._start_response = start_response
        self._has_started = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self.raises:
            raise ZeroDivisionError
        if not self._has_started:
            self._start_response(self.status, [("Content-Type", "text/plain")])
            self._has_started = True
        return b"chunk"


def application(environ: dict[str, Any], start_response: Any) -> Body:
    body = environ["test.body"] = Body(start_response)
    return body


class RealVisit:
    """One request to a middleware around `application`, in as many steps as one likes."""

    def __init__(
        self,
        middleware: SessionMiddleware,
        cookie: str | None,
        *,
        comes_from: Literal["here", "elsewhere", "nowhere"] = "here",
        is_passive: bool = False,
    ) -> None:
        environ: dict[str, Any] = {}
        setup_testing_defaults(environ)
        if cookie is not None:
            environ["HTTP_COOKIE"] = f"sid={cookie}"
        if comes_from == "here":
            environ["HTTP_SEC_FETCH_SITE"] = "same-origin"
        elif comes_from == "elsewhere":
            environ.update(REQUEST_METHOD="POST", HTTP_SEC_FETCH_SITE="cross-site")
        if is_passive:
            environ["HTTP_X_SESSION_PASSIVE"] = "1"
        self.headers: list[tuple[str, str]] = []
        self._stream: Any = middleware(environ, self._start)
        self._body: Body = environ["test.body"]
        self.session = get_session(environ)

    def _start(self, status: str, headers: list[tuple[str, str]], exc_info: object = None) -> Callable[[bytes], object]:
        self.headers.extend(headers)
        return len  # for `write()`, which nobody calls here

    def answers(self, *, failed: bool = False) -> list[str]:
        """Let the headers go out; the Set-Cookie among them."""
        self._body.status = "500 Internal Server Error" if failed else "200 OK"
        next(self._stream)
        return [value for name, value in self.headers if name == "Set-Cookie"]

    def breaks(self) -> None:
        """Let the application raise."""
        self._body.raises = True
        try:
            next(self._stream)
        except ZeroDivisionError:
            self.closes()

    def closes(self) -> None:
        self._stream.close()

    def sees(self) -> Sight:
        session = self.session
        data = session.copy()
        if SHELF in data:
            data[SHELF] = [entry[1] for entry in data[SHELF]]
        return Sight(
            data,
            session.username,
            session.authenticated_at,
            session.created_at,
            session.expires_at,
            session.ends_at,
            session.ended_because,
        )

    def puts(self, key: str, item: str) -> None:
        self.session[key] = value_of(key, item)

    def puts_again(self, key: str) -> None:
        if key in self.session:
            self.session[key] = self.session[key] + empty_of(key)

    def takes_out(self, key: str) -> None:
        self.session.pop(key, None)

    def adds(self, key: str, item: str) -> None:
        self.session.modify(key, lambda value: value + value_of(key, item), default=empty_of(key))

    def adds_inside(self, key: str, item: str) -> None:
        self.session.setdefault(key, []).append(item)

    def empties(self) -> None:
        self.session.clear()

    def leaves_message(self, message: str) -> None:
        self.session.flash(message)

    def takes_messages(self) -> list[str]:
        return self.session.pop_flash()

    def logs_in(self, name: str, own_limits: Limits | None = None) -> None:
        self.session.login(name, timeouts=None if own_limits is None else Timeouts(**own_limits._asdict()))

    def changes_cookie(self) -> None:
        self.session.renew_token()

    def asks_to_stay(self, seconds: int | None, slides: bool = False) -> None:
        if seconds is None:
            self.session.remember(None)
        else:
            self.session.remember(seconds, sliding=slides)

    def counts_not(self) -> None:
        self.session.keep_alive = False

    def logs_out(self) -> None:
        self.session.username = None

    def saves(self) -> None:
        self.session.commit()

    def reloads(self) -> None:
        self.session.reload()

    def makes_form(self) -> str:
        return self.session.csrf_token

    def renews_form(self) -> None:
        self.session.renew_csrf()

    def checks_form(self, form: str) -> bool:
        return self.session.check_csrf(form)
