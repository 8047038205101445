"""/login and /register beyond name and password: staying logged in, and fields of the site's own."""

from __future__ import annotations

from random import Random
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from webtest import TestApp, TestResponse

from sessionware import ConfigError, LoginFailed
from sessionware.auth import Auth, AuthPages, Field, Page, PasswordPolicy
from sessionware.auth.pages.html import render_page
from tests.support.auth_kit import PASSWORD
from tests.support.pages_kit import Elements, PagesSite, log_in, post

EMAIL = Field("email", "E-mail", kind="email", autocomplete="email", hint="Only for links to a new password.")
CITY = Field("city", "City", is_required=False, max_length=20)
TERMS = Field("terms", "I accept the <b>terms</b>", kind="checkbox")
NEWS = Field("news", "Send me news", kind="checkbox", is_required=False)
FACES = [chr(0x1F600 + number) for number in range(80)]
FILLED_IN = {"username": "Ada", "password": PASSWORD, "email": "ada@example.org", "terms": "on"}


@pytest.fixture
def site() -> PagesSite:
    return PagesSite(fields=[EMAIL, CITY, TERMS, NEWS])


def register(site: PagesSite, **typed: str) -> TestResponse:
    return post(site.visitor(), "/register", urlencode({**FILLED_IN, **typed}))


# Remember me


def test_who_wants_to_be_remembered_ticks_a_box(site: PagesSite) -> None:
    """It is off until then. The cookie lasts as long as it may."""
    site.register("Ada")
    forgetful, remembered = log_in(site.visitor()), log_in(site.visitor(), remember="on")

    assert "checked" not in Elements(site.visitor().get("/login")).one("input", type="checkbox")
    assert "Max-Age" not in forgetful.headers["Set-Cookie"]
    assert f"Max-Age={30 * 24 * 3600}" in remembered.headers["Set-Cookie"]


def test_box_keeps_its_tick_after_an_error(site: PagesSite) -> None:
    """As the name is kept."""
    site.register("Ada")
    page = log_in(site.visitor(), password="not the password", remember="on")

    assert "checked" in Elements(page).one("input", type="checkbox")


def test_box_can_be_left_out() -> None:
    """Then a form that has it all the same asks for nothing."""
    site = PagesSite(remember_me=False)
    site.register("Ada")
    visitor = site.visitor()

    assert Elements(visitor.get("/login")).all("input", type="checkbox") == []
    answer = post(visitor, "/login", urlencode({"username": "Ada", "password": PASSWORD, "remember": "on"}))
    assert "Max-Age" not in answer.headers["Set-Cookie"]


# Fields of one's own


def test_own_fields_are_kept_with_the_account(site: PagesSite) -> None:
    """Text without the space that phones add, a box as True or False, what was left empty as empty text."""
    assert register(site, email=" ada@example.org ").status_code == 303
    assert site.users.find_by_key("ada").data == {"email": "ada@example.org", "city": "", "terms": True, "news": False}


def test_own_fields_are_asked_for_after_ours(site: PagesSite) -> None:
    """Each with a label, its kind and what a browser may fill in; only what is needed is required."""
    elements = Elements(site.visitor().get("/register"))
    fields = elements.all("input")

    assert [field["name"] for field in fields] == ["username", "password", "email", "city", "terms", "news"]
    assert ["required" in field for field in fields] == [True, True, True, False, True, False]
    email = elements.one("input", name="email")
    assert (email["type"], email["autocomplete"], email["aria-describedby"]) == ("email", "email", "email-hint")
    assert elements.all("b") == []
    assert [label["for"] for label in elements.all("label")] == [field["id"] for field in fields]


@pytest.mark.parametrize(
    ("typed", "field", "says"),
    [
        ({"email": ""}, "email", "fill in"),
        ({"email": "   "}, "email", "fill in"),
        ({"email": "ada"}, "email", "name@example.com"),
        ({"email": "ada@"}, "email", "name@example.com"),
        ({"email": "ada@ex ample.org"}, "email", "name@example.com"),
        ({"email": "a" * 250 + "@example.org"}, "email", "at most 255"),
        ({"city": "x" * 21}, "city", "at most 20"),
        ({"city": "a\x00b"}, "city", "control"),
        ({"city": "a\r\nb"}, "city", "control"),
        ({"terms": ""}, "terms", "tick"),
    ],
    ids=str,
)
def test_what_will_not_do_is_said_at_its_field(site: PagesSite, typed: dict[str, str], field: str, says: str) -> None:
    """And there is no account yet."""
    page = register(site, **typed)
    elements = Elements(page)
    (invalid,) = elements.all("input", **{"aria-invalid": "true"})

    assert (page.status_code, invalid["name"], "autofocus" in invalid) == (422, field, True)
    assert says in page.html.find(id=f"{field}-error").text
    assert f"{field}-error" in (invalid["aria-describedby"] or "")
    assert site.users.find_by_key("ada") is None
    assert elements.one("input", name="username")["value"] == "Ada"


def test_everything_that_is_wrong_is_said_at_once(site: PagesSite) -> None:
    """Also about the name and the password; typing begins at the first."""
    page = register(site, username="a b", password="short", email="x", terms="")
    wrong = Elements(page).all("input", **{"aria-invalid": "true"})

    assert [field["name"] for field in wrong] == ["username", "password", "email", "terms"]
    assert ["autofocus" in field for field in wrong] == [True, False, False, False]
    assert len(page.html.find_all(role="alert")) == 4


def test_form_that_is_refused_anyway_asks_nobody_about_breaches() -> None:
    """An outside service is not for everybody to call as often as they like."""
    asked: list[str] = []
    site = PagesSite(fields=[TERMS])
    policy = PasswordPolicy(breached=lambda password: bool(asked.append(password)))
    site.auth = Auth(site.users, policy=policy, hasher=site.hasher)
    site.served = site.wrapped(AuthPages(site.greet, site.auth, fields=[TERMS]))

    assert register(site, terms="").status_code == register(site, username="a b").status_code == 422
    assert asked == []
    assert register(site).status_code == 303
    assert asked == [PASSWORD]


def test_taken_name_is_not_told_before_the_rest_is_right(site: PagesSite) -> None:
    """Whoever tries names out has to fill in the form."""
    site.register("Ada", "the password of somebody else")

    assert "taken" not in register(site, email="x").text
    assert "taken" in register(site).text


def test_own_fields_are_shown_again(site: PagesSite) -> None:
    """But for passwords, everything that was typed, and never as markup."""
    elements = Elements(register(site, password="short", city='"><script>', news="on"))

    assert elements.one("input", name="city")["value"] == '"><script>'
    assert elements.all("script") == []
    assert "checked" in elements.one("input", name="news")


def test_long_answers_fit_into_the_form() -> None:
    """As long as they may be, in any script, beside the longest name and password."""
    site = PagesSite(fields=[Field("story", "Your story", max_length=5_000)])
    story = "\U0001f600" * 5_000
    answer = register(site, username="a" * 128, password="".join(Random(1).choices(FACES, k=1024)), story=story)

    assert answer.status_code == 303
    assert site.users.find_by_key("a" * 128).data == {"story": story}
    assert register(site, story=story * 2).status_code == 413


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ([Field("username", "Name")], "this name already"),
        ([Field("password", "Again")], "this name already"),
        ([Field("next", "Next")], "this name already"),
        ([Field("error", "Error")], "this name already"),
        ([CITY, CITY], "this name already"),
        ([Field("password-hint", "Hint")], "-hint or -error"),
        ([Field("username-error", "Error")], "-hint or -error"),
        ([Field("again", "Again", kind="password")], "must not be a password"),
        ([Field("trap", "", kind="hidden")], '"text", "email" or "checkbox"'),
        ([Field("e mail", "E-mail")], "small letters"),
        ([Field('"><b>', "x")], "small letters"),
        ([Field("", "x")], "small letters"),
        ([Field("x", " ")], "label"),
        ([Field("x", "X", max_length=0)], "number of characters"),
        ([Field("plan", "Plan", value="free", is_fixed=True)], "leave it out"),
        ([Field("plan", "Plan", is_fixed=True)], "is_fixed=….*leave it out"),
        ([Field("news", "News", kind="checkbox", value="on")], "value=….*leave it out"),
        ([Field("x", "X", is_invalid=True)], "leave it out"),
        ([Field("x", "X", error="wrong")], "leave it out"),
        ([Field("x", "X", has_focus=True)], "leave it out"),
        ([Field("x", "X", errors=(LoginFailed,))], "leave it out"),
        ([Field("x", "X", is_required="no")], "True or False"),  # type: ignore[arg-type]
        ([Field("x", "X", hint=5)], "hint=5"),  # type: ignore[arg-type]
        ([Field("x", "X", autocomplete=5)], "autocomplete=5"),  # type: ignore[arg-type]
        ([Field("x", "X", max_length=True)], "number of characters"),
        (["email"], "list of fields"),
        ("email", "list of fields"),
        (CITY, "list of fields"),
        (None, "list of fields"),
        ([Field(f"f{n}", "X") for n in range(17)], "at most 16"),
        ([Field("x", "X", max_length=5_001)], "5000 together"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_fields_that_cannot_be_are_refused(fields: Any, says: str) -> None:
    """When the pages are built, with what to write instead."""
    with pytest.raises(ConfigError, match=says):
        PagesSite(fields=fields)


TYPED = st.text(st.characters(codec="utf-8"), max_size=40)


@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(city=TYPED, email=TYPED, news=st.booleans())
def test_whatever_is_typed_is_kept_or_shown_again(city: str, email: str, news: bool) -> None:
    """Nothing is lost, nothing changed, and never an error of ours."""
    site = PagesSite(fields=[EMAIL, CITY, NEWS])
    answer = register(site, city=city, email=email, **({"news": "on"} if news else {}))
    user = site.users.find_by_key("ada")

    assert answer.status_code in (303, 422)
    if answer.status_code == 303:
        assert user.data == {"email": email.strip(), "city": city.strip(), "news": news}
    else:
        assert user is None
        assert answer.html.find("input", {"name": "news"}).has_attr("checked") == news


# Fields in general


def test_value_that_is_fixed_cannot_be_changed() -> None:
    """It is read only, and nobody has to fill it in."""
    page = Page("x", "X", "/x", "X", "/", fields=(Field("name", "Name", value="Ada", is_fixed=True),))
    field = Elements(render_page(page)).one("input")

    assert ("readonly" in field, "required" in field, field["value"]) == (True, False, "Ada")


def test_hidden_field_has_no_label() -> None:
    """Nobody sees it."""
    page = Page("x", "X", "/x", "X", "/", fields=(Field("token", "", kind="hidden", value='"><b>'),))
    elements = Elements(render_page(page))

    assert elements.one("input", type="hidden")["value"] == '"><b>'
    assert elements.all("label") == elements.all("b") == []


def test_error_at_a_box_is_read_with_it() -> None:
    """Like that of any other field."""
    box = Field("terms", "Terms", kind="checkbox", hint="See below.", error="Please.", is_invalid=True)
    elements = Elements(render_page(Page("x", "X", "/x", "X", "/", fields=(box,), error="Please.")))

    assert elements.one("input")["aria-describedby"] == "terms-hint terms-error"
    assert elements.one("p", role="alert")["id"] == "terms-error"


def test_errors_of_several_fields_stand_above_the_form() -> None:
    """As that of a login, which must not say which of the two was wrong."""
    site = PagesSite()
    page = log_in(site.visitor(), password="not the password")

    assert page.html.find(id="error").text == LoginFailed.message
    assert TestApp(site.served).get("/login").html.find(id="error") is None
