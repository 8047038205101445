"""For tests of an application: a client that is logged in, what is in a client's session, and a clock that is moved."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import urljoin, urlsplit

from .._types import Environ, Headers
from ..manager import Account, SessionManager
from ..session import Session
from ._cookie_jars import Jar, jar_of, parsed


def log_in(
    client: object,
    manager: SessionManager,
    user: Account | str,
    *,
    data: Mapping[str, Any] | None = None,
    url: str | None = None,
) -> None:
    """Log a test's client in, as if somebody had filled in your login form.

    As at any login, what the client's session held before is kept, unless it was somebody else's.

    Args:
        client: WebTest's `TestApp`, a test client of Flask, Werkzeug or Django, a session of Requests, a client of
            HTTPX, Playwright's `BrowserContext`, or a `http.cookiejar.CookieJar`.
        manager: The site's sessions. A `SessionMiddleware` has it as its `manager`.
        user: An account, as your `Users` give it, or a name. `Auth.user()` knows accounts only.
        data: What else to write into the session.
        url: A page of the site, if it is not where the client goes by itself, as in `"https://localhost/"`. Scheme and
            host decide about the cookie. Requests and Playwright always need it.

    Raises:
        SessionTooLarge: The data is larger than `max_bytes`.
        StoreUnavailable: The store failed.
        TypeError: It is no such client, or it needs a `url`; or a value cannot be stored.
        ValueError: The client does not keep the cookie, since it does not suit the `url`.
    """
    with session_of(client, manager, url=url) as session:
        if isinstance(user, str):
            session.login(user)
        else:
            session.login(user.username, user_id=user.id, session_version=user.session_version)
        session.update({} if data is None else data)


@contextmanager
def session_of(client: object, manager: SessionManager, *, url: str | None = None) -> Iterator[Session]:
    """The session of a test's client, to look at and to change, in a `with` block.

    What you change is saved at the end of the block, and the client gets the cookie that a browser would get. If the
    block raises, nothing is saved. Looking does not count as activity, so it prolongs nothing.

    Args:
        client: As for `log_in`.
        manager: The site's sessions. A `SessionMiddleware` has it as its `manager`.
        url: As for `log_in`.

    Raises:
        StoreUnavailable: The store failed.
        TypeError: It is no such client, or it needs a `url`.
        ValueError: The client does not keep the cookie, since it does not suit the `url`.
    """
    if not isinstance(manager, SessionManager):
        raise TypeError(f"pass the site's SessionManager, as in middleware.manager, not {type(manager).__name__}")
    jar = jar_of(client)
    request, page = _request(jar, manager, url)
    opened = manager.open(request)
    try:
        yield opened.session
    except BaseException:
        opened.finish(failed=True)
        raise
    else:
        opened.finish()
    finally:
        headers = opened.headers([])
        opened.close()
        _keep(jar, page, headers)


class MovableClock:
    """A clock that stands still until it is moved, for `SessionMiddleware(…, clock=clock)`.

    Called, it gives the time, as `time.time` does.

    Args:
        now: Seconds since the epoch. Without it, the clock stands at the moment when it was made.
    """

    def __init__(self, now: float | None = None) -> None:
        self.now: float = time.time() if now is None else now
        """The time that it shows, in seconds since the epoch."""

    def __call__(self) -> float:
        return self.now

    def advance(self, by: float | timedelta) -> None:
        """Let so many seconds pass, or as much as a `timedelta` says."""
        self.now += by.total_seconds() if isinstance(by, timedelta) else by


def _request(jar: Jar, manager: SessionManager, url: str | None) -> tuple[Environ, str]:
    """The environ of a request by this client, and the page that it is for: one to which the cookie is sent."""
    url = jar.home if url is None else url
    if url is None:
        raise TypeError("this client does not say where it goes: add url=…, a page of the site under test")
    address = urlsplit(url)
    if address.scheme not in ("http", "https") or not address.hostname:
        raise ValueError(f"url={url!r}: write scheme and host, as in url='https://localhost/'")
    request: Environ = {
        "REQUEST_METHOD": "GET",
        "wsgi.url_scheme": address.scheme,
        "HTTP_HOST": address.netloc,
        "HTTP_X_SESSION_PASSIVE": "1",  # a test that looks, in the midst of hours without a visit, must prolong nothing
    }
    cookie = parsed(manager._site.tickets.expire(request), address.geturl())  # for its name, path and domain
    page = urljoin(address.geturl(), cookie.place["path"])
    request["HTTP_COOKIE"] = "; ".join(jar.sent(cookie._replace(page=page)))
    return request, page


def _keep(jar: Jar, page: str, headers: Headers) -> None:
    """Give the client what the response tells, and see that it has it: else it would be anonymous without a word."""
    for cookie in [parsed(value, page) for name, value in headers if name == "Set-Cookie"]:
        jar.keep(cookie)
        if cookie.value and f"{cookie.name}={cookie.value}" not in jar.sent(cookie):
            raise ValueError(
                f"The client does not keep the cookie {cookie.name} of {page}. Pass url=… with the scheme and the host"
                " of your pages. They have to suit Cookie(secure=…, domain=…)."
            )
