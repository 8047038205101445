"""Settings as other libraries spell them, or nearly right: each error says what to write instead."""

from __future__ import annotations

import re
from dataclasses import fields
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionware import ConfigError, Cookie, SessionMiddleware, Timeouts, get_session
from sessionware.middleware import paste_filter
from tests.support.fixed import SECRET

DAY = 24 * 3600

# Flask's SESSION_COOKIE_…, Django's SESSION_COOKIE_…, Beaker's session.cookie_…, as they come from code or ini files.
COOKIES: list[tuple[dict[str, Any], str]] = [
    ({"domain": ".example.com"}, "domain='example.com'"),
    ({"domain": "*.example.com"}, "domain='example.com'"),
    ({"domain": "https://example.com/"}, "domain='example.com'"),
    ({"domain": "example.com:8080"}, "domain='example.com'"),
    ({"domain": "example.com."}, "domain='example.com'"),
    ({"domain": " example.com"}, "domain='example.com'"),
    ({"domain": ""}, "leave it out (None)"),
    ({"domain": False}, "leave it out (None)"),
    ({"path": "app"}, "path='/app'"),
    ({"path": "app/"}, "path='/app'"),
    ({"path": ""}, "path='/'"),
    ({"path": None}, "path='/'"),
    ({"name": "__Host-sid"}, "name='sid'"),
    ({"name": "__Secure-shop"}, "name='shop'"),
    ({"name": "__host-http-shop"}, "name='shop'"),
    ({"name": "my session"}, 'letters, digits, "-" and "_"'),
    ({"name": None}, 'name="sid"'),
    ({"secure": None}, "write False"),
    ({"secure": 1}, "write True"),
    ({"secure": 0}, "write False"),
    ({"secure": "Auto"}, '"auto"'),
    ({"secure": "https"}, 'True or False, or "auto"'),
    ({"samesite": None}, 'write "Lax", as browsers do without the attribute, or "None" in quotes'),
    ({"samesite": False}, 'write "Lax", as browsers do without the attribute, or "None" in quotes'),
    ({"samesite": True}, 'write "Lax", "Strict" or "None"'),
    ({"samesite": "loose"}, 'write "Lax", "Strict" or "None"'),
    ({"samesite": ""}, 'write "Lax", "Strict" or "None"'),
    ({"partitioned": 1, "secure": True}, "write True"),
    ({"partitioned": "yes", "secure": True}, "write True"),
    ({"partitioned": None}, "write False"),
    ({"samesite": "None"}, "Add secure=True"),
    ({"partitioned": True}, "Add secure=True"),
]


@pytest.mark.parametrize(("settings", "advice"), COOKIES, ids=[str(settings) for settings, _ in COOKIES])
def test_spelling_of_another_library_gets_the_right_one(settings: dict[str, Any], advice: str) -> None:
    """And what is advised is accepted."""
    with pytest.raises(ConfigError, match=re.escape(advice)) as caught:
        Cookie(**settings)

    if advised := re.search(r"(domain|path|name)='([^']+)'", advice):
        Cookie(**{advised[1]: advised[2]})  # type: ignore[arg-type]
    assert all(f"{name}=" in str(caught.value) for name in list(settings)[:1])


def cases(word: str) -> st.SearchStrategy[str]:
    """A word in every mixture of capitals and small letters, with or without space around it."""
    letters = st.tuples(*(st.sampled_from([letter.lower(), letter.upper()]) for letter in word)).map("".join)
    return st.tuples(st.sampled_from(["", " "]), letters, st.sampled_from(["", " "])).map("".join)


@given(st.sampled_from(["Lax", "Strict", "None"]).flatmap(lambda word: st.tuples(st.just(word), cases(word))))
def test_samesite_in_any_capitals_gets_the_right_ones(words: tuple[str, str]) -> None:
    """`samesite="lax"` is how Flask's documentation writes it."""
    right, written = words
    if right == written:
        Cookie(samesite=right, secure=True)  # type: ignore[arg-type]
    else:
        with pytest.raises(ConfigError, match=f'write "{right}"'):
            Cookie(samesite=written, secure=True)  # type: ignore[arg-type]


@pytest.mark.parametrize("setting", ["secure", "partitioned"])
@given(
    word=st.sampled_from(["true", "yes", "on", "1"]).flatmap(cases).map(lambda text: (text, "True"))
    | st.sampled_from(["false", "no", "off", "0"]).flatmap(cases).map(lambda text: (text, "False"))
)
def test_truth_in_quotes_gets_the_word_without_them(setting: str, word: tuple[str, str]) -> None:
    """`secure="false"` is true to Python, and would be the opposite of what was meant."""
    with pytest.raises(ConfigError, match=rf"Cookie\({setting}=.*write {word[1]}"):
        Cookie(**{setting: word[0]})  # type: ignore[arg-type]


TIMEOUTS = [field.name for field in fields(Timeouts)]
NUMBERS = st.integers(1, 90)


@pytest.mark.parametrize("name", TIMEOUTS)
@given(
    written=NUMBERS.map(lambda n: (str(n), n))
    | NUMBERS.map(lambda n: (float(n), n))
    | NUMBERS.map(lambda n: (f" {n} ", n))
    | NUMBERS.map(lambda n: (f"{n}s", n))
    | NUMBERS.map(lambda n: (f"{n} min", n * 60))
    | NUMBERS.map(lambda n: (f"{n}h", n * 3600))
    | NUMBERS.map(lambda n: (f"{n} days", n * DAY))
    | NUMBERS.map(lambda n: (f"{n}W", n * 7 * DAY))
)
def test_duration_in_other_words_gets_its_seconds(name: str, written: tuple[Any, int]) -> None:
    """A text out of a settings file, a float out of a calculation, and how people say it."""
    with pytest.raises(ConfigError, match=rf"Timeouts\({name}=.*: {name}={written[1]}\.$"):
        Timeouts(**{name: written[0]})


@pytest.mark.parametrize("name", TIMEOUTS)
@pytest.mark.parametrize("never", [None, 0, -1, "", "never", "1:30", float("inf"), float("nan"), False, [3600]])
def test_other_librarys_word_for_never_gets_what_there_is(name: str, never: Any) -> None:
    """Flask's and Beaker's None, Django's 0: nothing lasts for ever here."""
    with pytest.raises(ConfigError, match=rf"Timeouts\({name}=.*whole number of seconds, 1 or more.*timedelta\.$"):
        Timeouts(**{name: never})


CAPS = {
    "idle": "lifetime",
    "remember": "remember_lifetime",
    "anonymous": "anonymous_lifetime",
    "unconfirmed": "anonymous",
}


@pytest.mark.parametrize(("name", "cap"), CAPS.items())
@pytest.mark.parametrize("as_timedelta", [False, True])
def test_limit_that_another_one_ends_is_refused(name: str, cap: str, as_timedelta: bool) -> None:
    """It would mean nothing. The error has both ways out, and each of them works."""
    usual: dict[str, Any] = {each.name: each.default for each in fields(Timeouts)}
    most = usual[cap]
    wish: Any = timedelta(seconds=most + 1) if as_timedelta else most + 1

    with pytest.raises(
        ConfigError, match=rf"{name}={most + 1}, {cap}={most}.*Write {cap}={most + 1} or.*{name}={most} "
    ):
        Timeouts(**{name: wish})
    higher = {each: most + 1 for each in (cap, CAPS.get(cap)) if each is not None}
    assert getattr(Timeouts(**{name: wish, **higher}), name) == wish
    assert getattr(Timeouts(**{name: most}), name) == most


@pytest.mark.parametrize(("name", "cap"), CAPS.items())
def test_shortening_a_cap_alone_is_fine(name: str, cap: str) -> None:
    """Nobody has to know all the other limits to shorten one. What was never set is no mistake."""
    assert getattr(Timeouts(**{cap: 60}), cap) == 60


def app(environ: Any, start_response: Any) -> list[bytes]:
    return []


VARIABLES = [
    ({"cookie_domain": ".example.com"}, "example.com"),
    ({"cookie_samesite": "lax"}, "Lax"),
    ({"cookie_samesite": "none", "cookie_secure": "true"}, "None"),
    ({"cookie_secure": "yes"}, "True"),
    ({"cookie_secure": "1"}, "True"),
    ({"cookie_secure": "off"}, "False"),
    ({"cookie_path": "app"}, "/app"),
    ({"cookie_name": "__Host-sid"}, "sid"),
    ({"timeout_idle": "12h"}, "43200"),
    ({"timeout_idle": "60.0"}, "=60"),
    ({"timeout_idle": "30 days"}, "2592000"),
    ({"timeout_idle": str(30 * DAY)}, "lifetime=2592000"),
    ({"timeout_remember": "-1"}, "whole number of seconds"),
]


@pytest.mark.parametrize(("settings", "advice"), VARIABLES, ids=[str(settings) for settings, _ in VARIABLES])
def test_variables_and_ini_files_get_the_same_advice(settings: dict[str, str], advice: str) -> None:
    """There everything is text."""
    variables = {f"SESSIONWARE_{name.upper()}": text for name, text in settings.items()}

    with pytest.raises(ConfigError, match=re.escape(advice)):
        SessionMiddleware.from_environ(app, {"SESSIONWARE_SECRET": SECRET, **variables})
    with pytest.raises(ConfigError, match=re.escape(advice)):
        paste_filter(app, {}, secret=SECRET, **settings)


async def serve(*arguments: object) -> None:
    """An ASGI application that is a function."""


class Asgi:
    """One that is an object, as those of frameworks are."""

    async def __call__(self, *arguments: object) -> None:
        pass


@pytest.mark.parametrize("app", [serve, Asgi()], ids=["function", "object"])
def test_asynchronous_application_is_refused_when_it_is_wrapped(app: Any) -> None:
    """Not at the first request, by a complaint about its arguments."""
    with pytest.raises(ConfigError, match="asynchronous"):
        SessionMiddleware(app, secret=SECRET)


@pytest.mark.parametrize("passed", [None, "environ", object()], ids=["None", "text", "some object"])
def test_what_is_no_request_is_named(passed: Any) -> None:
    """That the application has to be wrapped would be the wrong advice."""
    with pytest.raises(ConfigError, match=f"^{type(passed).__name__} is no request") as caught:
        get_session(passed)

    assert "Wrap" not in str(caught.value)
