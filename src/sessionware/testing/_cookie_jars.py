"""Where the clients that tests use keep their cookies. None of them is imported: each is known by what it has."""

from __future__ import annotations

import inspect
import time
from email.message import Message
from http.cookiejar import CookieJar
from http.cookies import SimpleCookie
from types import SimpleNamespace
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlsplit
from urllib.request import Request


class SetCookie(NamedTuple):
    """What a `Set-Cookie` line says, the line itself, and a page to whose requests the cookie belongs."""

    name: str
    value: str
    attributes: dict[str, str]
    line: str
    page: str

    @property
    def max_age(self) -> int | None:
        """Seconds, 0 for a cookie to remove, None for one that lasts until the browser is closed."""
        return int(self.attributes["Max-Age"]) if "Max-Age" in self.attributes else None

    @property
    def place(self) -> dict[str, str]:
        """Where browsers send it."""
        host = urlsplit(self.page).hostname or ""
        return {"domain": self.attributes.get("Domain", host), "path": self.attributes["Path"]}


class Jar(Protocol):
    """A client's cookies."""

    @property
    def home(self) -> str | None:
        """Where the client goes by itself, or None if it goes nowhere without a URL."""

    def sent(self, cookie: SetCookie) -> list[str]:
        """The cookies of this one's name that the client would send to its page, each as `name=value`."""

    def keep(self, cookie: SetCookie) -> None:
        """Do what the page's response told."""


class StandardJar(NamedTuple):
    """The standard library's, as WebTest, Requests and HTTPX have one. It decides by itself, as browsers do."""

    jar: CookieJar
    home: str | None

    def sent(self, cookie: SetCookie) -> list[str]:
        request = _request(cookie)
        self.jar.add_cookie_header(request)
        return [pair for pair in request.get_header("Cookie", "").split("; ") if pair.startswith(f"{cookie.name}=")]

    def keep(self, cookie: SetCookie) -> None:
        headers = Message()
        headers["Set-Cookie"] = cookie.line
        response: Any = SimpleNamespace(info=lambda: headers)
        self.jar.extract_cookies(response, _request(cookie))


class WerkzeugJar(NamedTuple):
    """That of Werkzeug's test client, and so of Flask's."""

    client: Any
    home: str | None

    def sent(self, cookie: SetCookie) -> list[str]:
        found = self.client.get_cookie(cookie.name, **cookie.place)
        return [f"{found.key}={found.value}"] if found else []

    def keep(self, cookie: SetCookie) -> None:
        is_for_one_host = "Domain" not in cookie.attributes
        attributes = {**cookie.place, "origin_only": is_for_one_host, "max_age": cookie.max_age}
        self.client.set_cookie(cookie.name, cookie.value, **attributes)


class DjangoJar(NamedTuple):
    """That of Django's test client, which sends every cookie to every page."""

    cookies: SimpleCookie
    home: str | None = "http://testserver/"

    def sent(self, cookie: SetCookie) -> list[str]:
        return [f"{name}={kept.coded_value}" for name, kept in self.cookies.items() if name == cookie.name]

    def keep(self, cookie: SetCookie) -> None:
        if cookie.max_age == 0:
            self.cookies.pop(cookie.name, None)
        else:
            self.cookies[cookie.name] = cookie.value


class BrowserJar(NamedTuple):
    """That of a browser which Playwright drives."""

    context: Any
    home: str | None = None

    def sent(self, cookie: SetCookie) -> list[str]:
        kept = self.context.cookies(cookie.page)
        return [f"{each['name']}={each['value']}" for each in kept if each["name"] == cookie.name]

    def keep(self, cookie: SetCookie) -> None:
        domain = cookie.attributes.get("Domain")
        told = {
            "name": cookie.name,
            "value": cookie.value,
            **cookie.place,
            **({"domain": f".{domain}"} if domain else {}),  # the dot stands for subdomains
            "expires": -1 if cookie.max_age is None else time.time() + cookie.max_age,
            "httpOnly": True,
            "secure": "Secure" in cookie.attributes,
            "sameSite": cookie.attributes["SameSite"],
        }
        self.context.add_cookies([told])


def jar_of(client: Any) -> Jar:
    """The client's cookies. Raises `TypeError` for what is no client."""
    cookies = getattr(client, "cookies", None)
    for jar in (client, getattr(client, "cookiejar", None), cookies, getattr(cookies, "jar", None)):
        if isinstance(jar, CookieJar):
            return StandardJar(jar, _home_of(client))
    if isinstance(cookies, SimpleCookie):
        return DjangoJar(cookies)
    if hasattr(client, "get_cookie") and hasattr(client, "set_cookie"):
        return WerkzeugJar(client, _home_of(client) or "http://localhost/")
    if hasattr(client, "add_cookies") and not inspect.iscoroutinefunction(client.add_cookies):
        return BrowserJar(client)
    raise TypeError(
        f"A {type(client).__module__}.{type(client).__qualname__} is no client whose cookies are known here. Pass"
        " WebTest's TestApp, a test client of Flask, Werkzeug or Django, a session of Requests, a client of HTTPX, a"
        " BrowserContext of Playwright's sync API, or a http.cookiejar.CookieJar. To any other client, give the name"
        " and the value that manager.login_cookie(user) returns."
    )


def parsed(line: str, page: str) -> SetCookie:
    """A line that this library wrote. (Before Python 3.14, `SimpleCookie` does not know `Partitioned`.)"""
    (name, _, value), *others = [part.partition("=") for part in line.split("; ")]
    return SetCookie(name, value, {attribute: said for attribute, _, said in others}, line, page)


def _request(cookie: SetCookie) -> Request:
    return Request(cookie.page)  # noqa: S310  (it is never sent)


def _home_of(client: Any) -> str | None:
    if hasattr(client, "extra_environ"):  # WebTest
        environ = client.extra_environ
        return f"{environ.get('wsgi.url_scheme', 'http')}://{environ.get('HTTP_HOST', 'localhost')}/"
    config = getattr(getattr(client, "application", None), "config", None)
    if config is not None and config.get("SERVER_NAME"):  # Flask
        return f"{config.get('PREFERRED_URL_SCHEME', 'http')}://{config['SERVER_NAME']}/"
    return str(getattr(client, "base_url", "")) or None  # HTTPX
