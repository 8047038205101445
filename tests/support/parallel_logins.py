"""Many logins to one account at once, through real middleware, in threads."""

from __future__ import annotations

import threading
from typing import Any, NamedTuple

from sessionware import SessionManager, Store, TooManySessions, get_session
from sessionware.auth import Auth, MemoryUsers
from tests.support.auth_kit import CHEAP, PASSWORD
from tests.support.fixed import SECRET

LIMIT = 3
LOGINS = 10
_PATIENCE = 60.0  # seconds, for what should take a tenth of one


class Round(NamedTuple):
    """What was there when all logins of a round had their answers."""

    alive: int
    """The account's sessions."""
    let_in: int
    """The browsers that were told that they are logged in."""
    unexplained: int
    """Those of them that are not, and are not told that there were too many."""


def rounds(store: Store, when_full: Any, count: int) -> list[Round]:
    """Ten logins at once, so many times, to an account that may have three sessions.

    The first round finds none, and each of the others those that the one before has left.
    """
    site = _Site(store, when_full)
    return [site.round() for _ in range(count)]


class _Site:
    def __init__(self, store: Store, when_full: Any) -> None:
        self._manager = SessionManager(SECRET, store)
        self._auth = Auth(MemoryUsers(), hasher=CHEAP, throttle=None, session_limit=LIMIT, when_full=when_full)
        self._ada = self._auth.register(self._manager, "Ada", PASSWORD, login=False)
        self._wsgi = self._manager.wrap(_application)

    def round(self) -> Round:
        start, answers = threading.Barrier(LOGINS), list[tuple[Any, str]]()

        def browser() -> None:
            start.wait(_PATIENCE)
            answers.append(self._ask(self._logs_in))

        threads = [threading.Thread(target=browser, daemon=True) for _ in range(LOGINS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(_PATIENCE)
        assert len(answers) == LOGINS, "a login hangs, or failed; the log says why"
        let_in = [cookie for was_let_in, cookie in answers if was_let_in]
        known = [self._ask(self._knows, cookie)[0] for cookie in let_in]
        return Round(len(self._manager.of(self._ada)), len(let_in), known.count(False))

    def _logs_in(self, environ: dict[str, Any]) -> bool:
        try:
            self._auth.login(environ, "Ada", PASSWORD)
        except TooManySessions:
            return False
        return True

    def _knows(self, environ: dict[str, Any]) -> bool:
        return self._auth.user(environ) is not None or get_session(environ).ended_because == "limit"

    def _ask(self, view: Any, cookie: str = "") -> tuple[Any, str]:
        """What the view returns in a request with this cookie, and the session's cookie that the response sets."""
        environ = {"REQUEST_METHOD": "POST", "HTTP_COOKIE": cookie, "wsgi.url_scheme": "http", "test.view": view}
        set_cookies: list[str] = []

        def start_response(_status: str, headers: list[tuple[str, str]], *_exc_info: Any) -> Any:
            set_cookies.extend(value for name, value in headers if name == "Set-Cookie" and value.startswith("sid="))
            return lambda _chunk: None

        list(self._wsgi(environ, start_response))
        return environ["test.result"], set_cookies[0].partition(";")[0] if set_cookies else ""


def _application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    environ["test.result"] = environ["test.view"](environ)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"done"]
