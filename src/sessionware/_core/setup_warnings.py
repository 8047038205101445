"""Warnings, given once each, about a set-up that would make sessions fail silently."""

from __future__ import annotations

import logging

from .._types import Environ, Headers
from .environ import is_https, is_loopback
from .tickets import SEALED_CHARACTERS

logger = logging.getLogger("sessionware")

_SET_COOKIE = "set-cookie"
_LENGTH = len(_SET_COOKIE)

#: What proxies add to a request.
_FORWARDED = ("HTTP_FORWARDED", "HTTP_X_FORWARDED_FOR", "HTTP_X_REAL_IP", "HTTP_VIA")


class SetupWarnings:
    """What one site has been warned about."""

    def __init__(
        self, *, is_per_process: bool, is_always_secure: bool, cookie_names: tuple[str, ...], knows_clients: bool
    ) -> None:
        self._is_per_process = is_per_process
        self._own_cookies = cookie_names
        self._is_always_secure = is_always_secure
        self._knows_clients = knows_clients
        self._given: set[str] = set()

    def check(self, environ: Environ) -> None:
        """Warn if the cookie that this request's response is about to carry will be of no use."""
        if self._is_per_process and environ.get("wsgi.multiprocess"):
            self.once(
                "memory",
                "Sessions are kept in a MemoryStore, but the server runs several processes: each has its own sessions. "
                'Use a store that they share, such as store=SQLiteStore("sessions.db").',
            )
        if self._is_always_secure and not is_https(environ) and not is_loopback(environ):
            self.once(
                "secure",
                "The session cookie is Secure, but the page came over plain http: browsers drop the cookie, and logins "
                'fail silently. Serve the page over https, or write Cookie(secure="auto"). If a proxy already serves '
                "it over https, let the proxy say so by X-Forwarded-Proto (docs/deployment.md).",
            )

    def check_headers(self, headers: Headers) -> None:
        """Warn if the application's own response sets a cookie of the session's name."""
        for name, value in headers:
            if len(name) == _LENGTH and name.lower() == _SET_COOKIE:
                self.check_cookie(value)

    def check_cookie(self, line: str) -> None:
        """Warn if this Set-Cookie line of the application's has the session's name."""
        before, equals, _ = line.partition("=")
        name = before.strip(" \t")
        if not equals or name not in self._own_cookies:
            return
        if _is_sessionwares(line):
            self.once(
                "two sites",
                f"Inside this SessionMiddleware there is another one, whose cookie is named {name} too. Each replaces "
                "the other's cookie, so visitors lose their sessions. Remove one, or give it a cookie of its own, for "
                'example by cookie=Cookie(name="sid2").',
            )
        else:
            self.once(
                "cookie",
                f"The application sets a cookie of its own named {name}. It takes the place of the session's cookie, "
                'so visitors lose their sessions. Rename one of the two, for example by cookie=Cookie(name="sid2").',
            )

    def check_client(self, environ: Environ, address: object) -> None:
        """Warn if this request, which seems to come from this machine, came through a proxy."""
        if is_loopback(environ) and not any(header in environ for header in _FORWARDED):
            return
        if self._knows_clients:
            self.once(
                "client",
                f"client_address= returned {ascii(address)[:100]} for a request that came through a proxy. If it does "
                "so for every visitor, attempts to log in are counted by account, but not by address. Let it return "
                "the address that your own proxy has seen (docs/throttling.md).",
            )
        else:
            self.once(
                "client",
                f"Every visitor seems to come from {str(address)[:100]!a}, because a proxy passes the requests on. So "
                "attempts to log in are counted by account, but not by address. Pass client_address=, a function that "
                "takes the environ and returns the address that your own proxy has seen (docs/throttling.md).",
            )

    def warn_of_client_list(self, address: object) -> None:
        """Warn that the application's function gives all addresses that a request names as one."""
        self.once(
            "client list",
            f"client_address= returned {str(address)[:100]!a}, which is a list. What is in front in it, visitors write "
            "themselves, so only its last entry is taken for the client. Let the function return one address: the one "
            "that your own proxy has seen (docs/throttling.md).",
        )

    def warn_of_second(self, environ_key: str) -> None:
        """Warn that another site's session is under this key already."""
        self.once(
            "twice",
            f"The application is wrapped in SessionMiddleware twice under {environ_key!r}; the inner one does "
            "nothing. Remove one, or give it another environ_key and Cookie(name=...) for a second, separate session.",
        )

    def warn_of_scheme(self) -> None:
        """Warn that a request brought the cookie that browsers send over https only, and yet seems to use http."""
        self.once(
            "scheme",
            "A browser sent the session cookie that belongs to https, but here the request seems to be plain http, so "
            "that cookie is not read and the visitor looks new. Let every proxy say so by X-Forwarded-Proto, and the "
            "WSGI server pass that on (docs/deployment.md).",
        )

    def once(self, topic: str, text: str) -> None:
        """Give this warning, unless it was given before."""
        if topic not in self._given:
            self._given.add(topic)
            logger.warning(text)


def _is_sessionwares(line: str) -> bool:
    """Whether this Set-Cookie line is one that this library writes."""
    value, _, attributes = line.partition("=")[2].partition("; ")
    return (
        len(value) in (0, SEALED_CHARACTERS)
        and attributes.startswith("Path=")
        and "; HttpOnly; SameSite=" in attributes
    )
