"""What will be stored is checked where it is given. When the session is saved, it is too late: a 500, and the request's
other changes are lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from markupsafe import Markup

from sessionware import ConfigError, Session, SessionManager
from sessionware.auth import MemoryUsers, User
from tests.support.auth_kit import PASSWORD, AuthSite
from tests.support.fixed import SECRET
from tests.support.kit import SessionSite

LONE = "ada\ud800"
"""Text that no encoding can write: half of a pair."""

Act = Callable[[Any, Any], object]

# Where text is wanted, a lone surrogate is a ValueError, and anything but text a TypeError.
TEXTS_OF_A_SESSION: dict[str, Act] = {
    "session[key] = 1": lambda session, text: session.__setitem__(text, 1),
    "update": lambda session, text: session.update({text: 1}),
    "|=": lambda session, text: session.__ior__({text: 1}),
    "setdefault": lambda session, text: session.setdefault(text, 1),
    "modify": lambda session, text: session.modify(text, str, default=""),
    "flash(…, queue)": lambda session, text: session.flash("saved", text),
    "username": lambda session, text: setattr(session, "username", text),
    "login": lambda session, text: session.login(text),
    "login(user_id)": lambda session, text: session.login("ada", user_id=text),
}

# Where any value is wanted, one that cannot be stored is a TypeError.
VALUES_OF_A_SESSION: dict[str, Act] = {
    "session[…] = value": lambda session, value: session.__setitem__("k", value),
    "a value inside": lambda session, value: session.update(k={"deep": [(1, {value})]}),
    "a key inside": lambda session, value: session.update(k={value: 1}),
    "setdefault": lambda session, value: session.setdefault("k", value),
    "modify": lambda session, value: session.modify("k", lambda _: value, default=0),
    "modify(default)": lambda session, value: session.modify("k", str, default=value),
    "flash": lambda session, value: session.flash(value),
}


@pytest.mark.parametrize("act", TEXTS_OF_A_SESSION.values(), ids=TEXTS_OF_A_SESSION)
@pytest.mark.parametrize(("text", "error"), [(LONE, ValueError), (5, TypeError), (b"ada", TypeError)])
def test_text_is_checked_at_the_call(act: Act, text: Any, error: type[Exception]) -> None:
    """The request's other changes are saved, before and after it."""
    assert kept_in_spite_of(lambda session: act(session, text), error) == (None, {"before": 1, "after": 2})


@pytest.mark.parametrize("act", VALUES_OF_A_SESSION.values(), ids=VALUES_OF_A_SESSION)
@pytest.mark.parametrize("value", [LONE, object], ids=ascii)
def test_value_is_checked_at_the_call(act: Act, value: Any) -> None:
    """The request's other changes are saved, before and after it."""
    assert kept_in_spite_of(lambda session: act(session, value), TypeError) == (None, {"before": 1, "after": 2})


@pytest.mark.parametrize(
    ("act", "error"),
    [
        (lambda session: session.flash(Markup(LONE)), ValueError),
        (lambda session: session.login("ada", session_version="1"), TypeError),
        (lambda session: session.login("ada", session_version=True), TypeError),
        (lambda session: session.login("ada", session_version=2**63), ValueError),
        (lambda session: session.login("ada", user_id=""), ValueError),
        (lambda session: session.login(""), ValueError),
        (lambda session: session.login("ada", timeouts=60), TypeError),
        (lambda session: session.remember("60"), TypeError),
    ],
)
def test_other_arguments_are_checked_at_the_call(act: Callable[[Session], object], error: type[Exception]) -> None:
    """Whatever would be stored with the session."""
    assert kept_in_spite_of(act, error) == (None, {"before": 1, "after": 2})


def kept_in_spite_of(act: Callable[[Session], object], error: type[Exception]) -> object:
    """Who is logged in, and what the session holds, after a request that makes this mistake between two changes."""
    browser = SessionSite().browser()

    def view(session: Session) -> None:
        session["before"] = 1
        with pytest.raises(error) as caught:
            act(session)
        assert type(caught.value) is not UnicodeEncodeError, "this shows the text, and says nothing of the argument"
        session["after"] = 2

    browser.visit(view)
    return browser.visit(lambda session: (session.username, session.copy())).result


def test_subclass_of_str_is_stored_as_plain_text() -> None:
    """Where text is wanted too: a key, a name, an id, a queue."""
    browser = SessionSite().browser()

    def view(session: Session) -> None:
        session.login(Markup("ada"), user_id=Markup("7"))
        session[Markup("key")] = 1
        session.flash("saved", Markup("queue"))

    browser.visit(view)
    seen = browser.visit(lambda session: [session.username, session.user_id, *session, *session.peek_flash("queue")])
    assert [type(text) for text in seen.result] == [str] * 5
    assert seen.result[:3] == ["ada", "7", "key"]


# Sessions from outside, and accounts --------------------------------------------------------------------------------

ADA = User("1" * 32, "ada", "Ada", None)

MANAGERS: dict[str, Act] = {
    "of(user_id)": lambda manager, text: manager.of(user_id=text),
    "of(username)": lambda manager, text: manager.of(username=text),
    "of(account)": lambda manager, text: manager.of(replace(ADA, id=text)),
    "end_all(user_id)": lambda manager, text: manager.end_all(user_id=text),
    "end_all(username)": lambda manager, text: manager.end_all(username=text),
    "end_all(account)": lambda manager, text: manager.end_all(replace(ADA, id=text)),
    "export(user_id)": lambda manager, text: manager.export(user_id=text),
    "export(username)": lambda manager, text: manager.export(username=text),
    "login_cookie(name)": lambda manager, text: manager.login_cookie(replace(ADA, username=text)),
    "login_cookie(id)": lambda manager, text: manager.login_cookie(replace(ADA, id=text)),
}


@pytest.mark.parametrize("act", MANAGERS.values(), ids=MANAGERS)
@pytest.mark.parametrize(("text", "error"), [(LONE, ValueError), ("", ValueError), (5, TypeError), (b"ada", TypeError)])
def test_names_and_ids_are_checked_without_a_request(act: Act, text: Any, error: type[Exception]) -> None:
    """An empty id would be that of everybody who has none."""
    with pytest.raises(error, match=r"username|id"):
        act(SessionManager(SECRET), text)


@pytest.mark.parametrize("id", ["", LONE, 7])
def test_account_without_an_id_logs_nobody_in(id: Any) -> None:
    """Whether a table returns it, or the application makes it up."""

    class Returns(MemoryUsers):
        def add(self, *given: Any) -> User:
            return replace(super().add(*given), id=id)

    site = AuthSite(Returns())
    browser = site.browser()

    with pytest.raises(ConfigError, match="a user whose id is"):
        browser.do(lambda environ: site.auth.register(environ, "Ada", PASSWORD))
    with pytest.raises(ConfigError, match="a user whose id is"):
        browser.do(lambda environ: site.auth.login_user(environ, replace(ADA, id=id)))
    assert browser.do(site.auth.user) is None


@pytest.mark.parametrize("data", [{"city": LONE}, {LONE: 1}, {"deep": [{"er": LONE}]}, {"x": {1}}], ids=ascii)
def test_data_of_an_account_is_checked_before_there_is_one(data: dict[str, Any]) -> None:
    """What is not JSON in every table is refused in all."""
    site = AuthSite()

    with pytest.raises(TypeError, match="must be JSON"):
        site.browser().do(lambda environ: site.auth.register(environ, "Ada", PASSWORD, data=data))
    assert site.browser().do(lambda environ: site.auth.register(environ, "Ada", PASSWORD)).username == "Ada"


@pytest.mark.parametrize(
    "name", ["Ada Lovelace", "\U0001f642", "\u0430lice", "a" * 300, "alice\ufffc", "\u0130brahim", " "]
)
def test_any_text_can_log_in_where_the_application_checks_who_it_is(name: str) -> None:
    """What cannot be the username of an account is a name all the same: sessions are found and ended by it."""
    site = SessionSite()
    browser, manager = site.browser(), site.middleware.manager
    browser.visit(lambda session: setattr(session, "username", name))

    assert browser.visit(lambda session: session.username).result == name
    assert len(manager.of(username=name)) == len(manager.export(username=name)) == 1
    assert manager.end_all(username=name) == 1
    assert browser.visit(lambda session: session.username).result is None


def test_spellings_of_a_name_own_the_same_sessions() -> None:
    """Where there is no id: the key of a name says whose they are."""
    site = SessionSite()
    site.browser().visit(lambda session: setattr(session, "username", "Zo\u00eb"))

    assert len(site.middleware.manager.of(username="ZOE\u0308")) == 1
    assert site.middleware.manager.of(username="zoe") == []
