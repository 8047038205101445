"""Which requests come from another origin."""

from __future__ import annotations

from typing import Any

import pytest

from sessionware import ConfigError
from sessionware._core.origins import Origins

HOST = "example.com"


def is_foreign(
    method: str = "POST", trusted: list[str] | tuple[Any, ...] = (), scheme: str = "http", **headers: str
) -> bool:
    environ = {"REQUEST_METHOD": method, "wsgi.url_scheme": scheme, "HTTP_HOST": HOST}
    environ.update({f"HTTP_{name.upper()}": value for name, value in headers.items()})
    return Origins(trusted).is_foreign(environ)


@pytest.mark.parametrize(
    ("site", "expected"),
    [("same-origin", False), ("none", False), ("same-site", True), ("cross-site", True), ("", True), ("new", True)],
)
def test_what_the_browser_says_comes_first(site: str, expected: bool) -> None:
    """A sibling domain is not this site, and what is not known is not trusted."""
    assert is_foreign(sec_fetch_site=site) is expected
    assert is_foreign(sec_fetch_site=site, origin="https://example.com") is expected


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ("http://example.com", False),
        ("https://example.com", False),
        ("http://EXAMPLE.com:80", False),
        ("https://example.com:443", False),
        ("http://example.com:8080", True),
        ("http://evil.example", True),
        ("http://example.com.evil.example", True),
        ("http://example.com@evil.example", True),
        ("null", True),
        ("", True),
        ("file://", True),
        ("http://example.com/path", True),
        ("http://[::1", True),
        ("http://example.com:99999", True),
    ],
)
def test_without_fetch_metadata_origin_is_compared_with_host(origin: str, expected: bool) -> None:
    """Ports that go without saying are the same as written out; anything odd is foreign."""
    assert is_foreign(origin=origin) is expected


def test_page_over_plain_http_is_foreign_to_a_site_over_https() -> None:
    """Whoever can change an http page must not be able to act on the https site."""
    assert is_foreign(scheme="https", origin="http://example.com")
    assert not is_foreign(scheme="https", origin="https://example.com")


def test_request_with_neither_header_was_not_sent_by_a_page() -> None:
    """Webhooks and command lines: no browser, no cookie to be abused."""
    assert not is_foreign()


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "TRACE"])
def test_safe_method_is_never_foreign(method: str) -> None:
    """A link from elsewhere finds its visitor logged in."""
    assert not is_foreign(method, sec_fetch_site="cross-site", origin="http://evil.example")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "post", "get", "X"])
def test_every_other_method_is_unsafe(method: str) -> None:
    """Also one that nobody has heard of, and the wrong case."""
    assert is_foreign(method, sec_fetch_site="cross-site")


def test_websocket_upgrade_is_treated_as_unsafe() -> None:
    """It is a GET that opens a channel, and no same-origin policy guards it."""
    assert is_foreign("GET", upgrade="WebSocket", origin="http://evil.example")
    assert not is_foreign("GET", upgrade="websocket", origin="http://example.com")


def test_trusted_origin_is_compared_as_a_whole() -> None:
    """Scheme, host and port."""
    trusted = ["https://partner.example"]

    assert not is_foreign(trusted=trusted, sec_fetch_site="cross-site", origin="https://PARTNER.example:443")
    assert is_foreign(trusted=trusted, sec_fetch_site="cross-site", origin="http://partner.example")
    assert is_foreign(trusted=trusted, sec_fetch_site="cross-site", origin="https://partner.example:8443")
    assert is_foreign(trusted=trusted, sec_fetch_site="cross-site")


@pytest.mark.parametrize(
    "trusted", [["*"], ["partner.example"], ["https://partner.example/"], ["null"], [""], [None], "https://p.example"]
)
def test_trusted_origin_that_is_none_is_refused(trusted: Any) -> None:
    """When the middleware is built."""
    with pytest.raises(ConfigError, match="https://"):
        Origins(trusted)
