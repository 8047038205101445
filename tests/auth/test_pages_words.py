"""The words of the pages: other languages, single texts of the site's own, and a layout of the site's own."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import dev
from sessionware import (
    AuthError,
    Busy,
    ConfigError,
    CrossOriginRefused,
    LoginFailed,
    NotFresh,
    NotLoggedIn,
    PasswordRejected,
    Throttled,
    TokenInvalid,
    TooManySessions,
    UsernameRejected,
    UsernameTaken,
    get_session,
)
from sessionware.auth import Field, Page, PasswordPolicy
from sessionware.auth.pages.app import PAGES
from sessionware.auth.pages.messages import Messages, catalogue, placeholders
from tests.support.auth_kit import PASSWORD
from tests.support.german import GERMAN
from tests.support.pages_kit import FOREIGN, Elements, PagesSite, log_in, post

TEXTS = catalogue(PAGES)


@pytest.fixture
def german() -> PagesSite:
    site = PagesSite(sends=True, messages=GERMAN, site_name="Teehaus")
    site.register("Ada")
    return site


# Another language


def test_every_text_can_be_said_in_another_language() -> None:
    """No id is forgotten, none is there that the pages do not have."""
    assert GERMAN.keys() == TEXTS.keys()


def test_no_english_is_left_in_the_german(german: PagesSite) -> None:
    """But for what is the same in both."""
    same = {id for id in TEXTS if TEXTS[id] == GERMAN[id]}

    assert same == {"dir", "page.document_title"}


def words(page: Any) -> str:
    """What is shown, as one text."""
    return re.sub(r"\s+", " ", str(page.html.main.get_text(" ")))


def test_pages_are_in_that_language_from_top_to_bottom(german: PagesSite) -> None:
    """Title, labels, hints, buttons, links, what goes wrong; and the document names the language (WCAG 3.1.1)."""
    visitor = german.visitor()
    page = visitor.get("/register")
    refused = log_in(visitor, "/register", username="ada lovelace", password="kurz")

    assert page.html.html["lang"] == "de"
    assert page.html.title.text == "Konto anlegen | Teehaus"
    assert refused.html.title.text == "Fehler: Konto anlegen | Teehaus"
    for text in ("Benutzername", "Bis zu 128 Buchstaben", "Mindestens 15 Zeichen", "Haben Sie schon ein Konto?"):
        assert text in words(page)
    assert "Bitte wählen Sie einen Benutzernamen" in refused.html.find(id="username-error").text
    assert "mindestens 15 Zeichen" in refused.html.find(id="password-error").text
    assert not re.search(r"\b(the|please|password|log)\b", words(page) + words(refused), re.IGNORECASE)


def test_every_page_is_in_that_language(german: PagesSite) -> None:
    """No English word is left on any, logged in or not."""
    visitor = german.visitor()
    pages = [visitor.get(path) for path in ("/login", "/register", "/forgot", "/reset?token=x")]
    pages += [visitor.get("/reset", expect_errors=True), visitor.get("/login?reset=1"), visitor.get("/forgot?sent=1")]
    pages += [log_in(visitor, password="falsch"), post(visitor, "/login", headers=FOREIGN), post(visitor, "/login")]
    log_in(visitor)
    german.logged_in_visitor()
    german.clock.tick(3 * 3600)
    paths = ["/login", "/register", "/logout", "/password", "/password?changed=1", "/sessions", "/confirm"]
    pages += [visitor.get(path) for path in paths]
    pages += [visitor.get("/sessions?ended=1"), visitor.get("/sessions?ended=others")]
    english = re.compile(r"\b(the|please|password|browser was|log|logged|your|you|this|is|with|ago)\b", re.IGNORECASE)

    assert [(page.request.path_qs, english.findall(words(page))) for page in pages if english.search(words(page))] == []


def test_scripts_are_told_in_that_language_too(german: PagesSite) -> None:
    """They may show it. The code stays what it is."""
    headers = {"Accept": "application/json", "Sec-Fetch-Mode": "cors"}
    answer = german.visitor().get("/members", headers=headers, expect_errors=True)

    assert answer.json == {"error": "not_logged_in", "message": "Bitte melden Sie sich erst an."}


def test_a_language_may_be_written_from_right_to_left() -> None:
    """The document says so."""
    page = PagesSite(messages={"lang": "ar", "dir": "rtl"}).visitor().get("/login")

    assert (page.html.html["lang"], page.html.html["dir"]) == ("ar", "rtl")


# Single texts


def test_one_text_can_be_changed_alone() -> None:
    """All others stay."""
    page = PagesSite(messages={"login.title": "Sign in <here>"}).visitor().get("/login")

    assert page.html.h1.text == "Sign in <here>"
    assert Elements(page).all("here") == []
    assert page.html.button.text == "Log in"


def test_a_method_of_the_sites_own_has_words_of_its_own() -> None:
    """They are shown where one is logged in, and where it would have to be proved."""

    def prove_two_and_ask_for_one_more(environ: dict[str, Any], start_response: Any) -> Any:
        if environ["PATH_INFO"] == "/vault":
            site.auth.require_user(environ, methods=("retina",))
        get_session(environ).renew_token(methods=("totp", "my-card"))
        return site.greet(environ, start_response)

    named = {"totp": "Code aus der App", "my-card": "Karte", "retina": "Blick ins Auge"}
    site = PagesSite(
        prove_two_and_ask_for_one_more,
        messages={f"sessions.method.{name}": text for name, text in named.items()},
    )
    site.register("Ada")
    visitor = site.logged_in_visitor()
    visitor.get("/")

    assert "Blick ins Auge" in visitor.get("/vault", expect_errors=True).html.find(role="alert").text
    assert "password, Code aus der App, Karte" in visitor.get("/sessions").html.dl.text
    assert site.pages.messages["sessions.method.totp"] == "Code aus der App"


def test_a_hint_may_be_left_out() -> None:
    """Then the field does not refer to it."""
    elements = Elements(PagesSite(messages={"register.username.hint": ""}).visitor().get("/register"))

    assert "aria-describedby" not in elements.one("input", name="username")


@pytest.mark.parametrize(
    ("messages", "says"),
    [
        ({"login.titel": "x"}, r"Did you mean 'login\.title'"),
        ({"logn.submit": "x"}, r"Did you mean 'login\.submit'"),
        ({"error.PasswordRejected.to_short": "x"}, r"'error\.PasswordRejected\.too_short'"),
        ({"sessions.method.": "x"}, "no text with the id"),
        ({"sessions.metod.totp": "x"}, "no text with the id"),
        ({"sessions.method.totp": ""}, "empty"),
        ({"sessions.method.totp": "{name}"}, "nothing is filled in here"),
        ({"zzzzzzzz": "x"}, r"docs/reference\.md"),
        ({5: "x"}, "no text with the id 5"),
        ({"login.logged_in": "You are in."}, r"lacks \{username\}"),
        ({"login.logged_in": "{username} on {site}"}, r"has \{site\}.*it has \{username\}"),
        ({"login.title": "Log in to {site_name}"}, "nothing is filled in here"),
        ({"login.logged_in": "{username.__class__}"}, "placeholders"),
        ({"login.logged_in": "{username!r}"}, "placeholders"),
        ({"login.logged_in": "{username:>9}"}, "placeholders"),
        ({"login.logged_in": "{0}"}, "placeholders"),
        ({"login.logged_in": "{}"}, "placeholders"),
        ({"login.logged_in": "{username"}, "braces"),
        ({"login.title": ""}, "empty"),
        ({"login.title": " "}, "empty"),
        ({"login.title": b"x"}, "not bytes"),
        ({"login.title": None}, "not NoneType"),
        ({"dir": "left"}, "rtl"),
        ("de", "dict"),
    ],
    ids=str,
)
def test_words_that_cannot_be_meant_are_refused(messages: Any, says: str) -> None:
    """When the pages are built, with what to write instead."""
    with pytest.raises(ConfigError, match=says):
        PagesSite(messages=messages)


def test_all_words_can_be_asked_for() -> None:
    """By a test of a translation, for example."""
    pages = PagesSite(messages={"login.title": "Sign in"}).pages

    assert pages.messages == {**TEXTS, "login.title": "Sign in"}


def test_every_text_is_listed_in_the_reference() -> None:
    """With its words, so that a translator needs nothing else."""
    reference = (Path(dev.ROOT) / "docs" / "reference.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| `((?:\w+\.)*\w+)` \| “(.*)” \|$", reference, re.MULTILINE))

    assert listed == TEXTS


# What errors say


def raised() -> list[AuthError]:
    classes = [LoginFailed, NotLoggedIn, TokenInvalid, TooManySessions, UsernameTaken, UsernameRejected]
    return [each() for each in classes] + [CrossOriginRefused()]


@pytest.mark.parametrize("error", raised(), ids=lambda error: type(error).__name__)
def test_errors_have_the_words_that_are_listed(error: AuthError) -> None:
    """What is listed in English is what the errors say."""
    name = type(error).__name__

    assert error.message in (TEXTS.get(f"error.{name}"), TEXTS.get(f"error.{name}.{error.reason}"))


def breached(password: str) -> bool:
    return password == "known from a breach"


@pytest.mark.parametrize(
    ("password", "reason"),
    [("short", "too_short"), ("x" * 1025, "too_long"), ("a\tb" * 9, "invalid"), ("known from a breach", "breached")],
)
def test_rejected_passwords_have_the_words_that_are_listed(password: str, reason: str) -> None:
    """With the numbers filled in."""
    with pytest.raises(PasswordRejected) as raised:
        PasswordPolicy(15, breached=breached).validate(password)
    listed = TEXTS[f"error.PasswordRejected.{reason}"]

    assert raised.value.reason == reason
    assert raised.value.message == listed.format(minimum_length=15, maximum_length=1024)


def test_every_reason_of_the_policy_has_words() -> None:
    """Those of the library's own, which are all that it raises."""
    sources = "".join(path.read_text(encoding="utf-8") for path in (dev.ROOT / "src/sessionware/auth").rglob("*.py"))
    found = set(re.findall(r'PasswordRejected\([^)]*reason="(\w+)"', sources)) | {"common", "context"}

    assert {f"error.PasswordRejected.{reason}" for reason in found} <= TEXTS.keys()


def test_an_error_that_says_more_is_not_cut_short() -> None:
    """As one of a policy of the site's own. Only words of the site's own come before it."""
    error = PasswordRejected("That is the name of our dog.", reason="context")
    own = {"error.PasswordRejected.context": "No."}

    assert Messages.of(PAGES, {}).of_error("register", error) == "That is the name of our dog."
    assert Messages.of(PAGES, own).of_error("register", error) == "No."


def test_an_error_of_the_applications_own_is_shown_as_it_is() -> None:
    """There is no text for what nobody knows."""
    assert Messages.of(PAGES, GERMAN).of_error("login", AuthError("Closed on Sundays.", reason="sunday")) == (
        "Closed on Sundays."
    )


@pytest.mark.parametrize(
    ("seconds", "says"),
    [
        (None, "in a moment"),
        (0, "in a moment"),
        (5, "in a moment"),
        (6, "in 6 seconds"),
        (90, "in 90 seconds"),
        (91, "in 2 minutes"),
        (120, "in 2 minutes"),
        (121, "in 3 minutes"),
        (5400, "in 90 minutes"),
        (5401, "in 2 hours"),
        (90_000, "in 25 hours"),
    ],
)
@pytest.mark.parametrize("kind", [Throttled, Busy])
def test_who_has_to_wait_is_told_when_to_come_back(kind: type[AuthError], seconds: int | None, says: str) -> None:
    """Never too early, and never "1 seconds"."""
    told = Messages.of(PAGES, {}).of_error("login", kind(retry_after=seconds))

    assert told.endswith(f"Please try again {says}.")


def test_placeholders_are_found_by_name() -> None:
    """Twice the same is one; doubled braces are none."""
    assert placeholders("x", "{a} {{b}} {a} {c}") == {"a", "c"}


def test_not_fresh_is_said_on_its_own_page() -> None:
    """Not in the general words of the error."""
    assert Messages.of(PAGES, {}).of_error("confirm", NotFresh()) == TEXTS["confirm.error.NotFresh.not_fresh"]


# A layout of the site's own


def test_markup_can_be_put_into_a_layout_of_the_sites_own() -> None:
    """What stands inside <main>, with the site's own head and navigation around it. The request says who is there."""
    site = PagesSite(render=lambda page, request: f"<html lang={page.lang}><nav>{request.environ['PATH_INFO']}</nav>"
                     f"<title>{page.document_title}</title><main>{page.html}</main>")  # fmt: skip
    site.register("Ada")
    visitor = site.visitor()
    page = visitor.get("/login?next=/members")

    assert page.html.nav.text == "/login"
    assert page.html.main.h1.text == "Log in"
    page.form["username"], page.form["password"] = "Ada", PASSWORD
    assert page.form.submit().headers["Location"] == "/members"


def test_markup_is_the_same_as_in_the_layout_of_ours() -> None:
    """Nothing of the page is left out."""
    pages: list[Page] = []

    def render(page: Page, request: Any) -> str:
        del request
        pages.append(page)
        return page.html

    site = PagesSite(render=render, site_name="Tea")
    shown = PagesSite(site_name="Tea").visitor().get("/register")

    assert site.visitor().get("/register").text in shown.text
    assert (pages[0].status, pages[0].lang, pages[0].dir) == (200, "en", "ltr")


def test_a_page_says_with_which_status_it_is_sent() -> None:
    """A layout may look another way where something went wrong."""
    statuses: list[int] = []

    def render(page: Page, request: Any) -> str:
        del request
        statuses.append(page.status)
        return page.html

    site = PagesSite(render=render)
    log_in(site.visitor(), password="not the password")

    assert statuses == [200, 403]


@pytest.mark.parametrize("render", [lambda page: page.title, lambda: "", lambda a, b, c: ""], ids=["1", "0", "3"])
def test_render_has_to_take_two_arguments(render: Any) -> None:
    """It is found out when the pages are built, and not by the first visitor."""
    with pytest.raises(ConfigError, match=r"render\(page, request\)"):
        PagesSite(render=render)


def test_render_has_to_return_text() -> None:
    """The error says what it returned."""
    with pytest.raises(TypeError, match="as text, not bytes"):
        PagesSite(render=lambda page, request: b"x").visitor().get("/login")


def test_what_a_page_shows_hides_its_markup() -> None:
    """A report of an error prints it, and a form may hold a token."""
    page = Page("x", title="X", action="/", submit="X", home="/", fields=(Field("t", "", kind="hidden"),), html="<p>")

    assert "<p>" not in repr(page)
