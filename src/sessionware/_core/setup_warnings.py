"""Warnings, given once each, about a set-up that would make sessions fail silently."""

from __future__ import annotations

import logging

from .._types import Environ, Headers
from .environ import is_https, is_loopback

logger = logging.getLogger("sessionware")

#: As anybody spells it. Each response is looked through, so there is no time to compare without case.
_SET_COOKIE = frozenset({"Set-Cookie", "set-cookie", "SET-COOKIE"})


class SetupWarnings:
    """What one site has been warned about."""

    def __init__(self, *, is_per_process: bool, is_always_secure: bool, cookie_names: tuple[str, ...]) -> None:
        self._is_per_process = is_per_process
        self._own_cookies = tuple(f"{name}=" for name in cookie_names)
        self._is_always_secure = is_always_secure
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
            if name in _SET_COOKIE:
                self.check_cookie(value)

    def check_cookie(self, line: str) -> None:
        """Warn if this Set-Cookie line of the application's has the session's name."""
        if line.startswith(self._own_cookies):
            self.once(
                "cookie",
                f"The application sets a cookie of its own named {line.partition('=')[0]}. It takes the place of the "
                "session's cookie, so visitors lose their sessions. Rename one of the two, for example by "
                'cookie=Cookie(name="sid2").',
            )

    def once(self, topic: str, text: str) -> None:
        """Give this warning, unless it was given before."""
        if topic not in self._given:
            self._given.add(topic)
            logger.warning(text)
