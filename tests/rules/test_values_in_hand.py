"""What happens to changes that the application makes inside values that it holds while the session is saved.

And to those that cannot be made: they are never dropped in silence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from wsgiref.validate import validator

import pytest
from webtest import TestApp

from sessionware import Event, Session, StoreUnavailable, get_session
from tests.support.kit import SessionSite, SiteBrowser

# After a save in the middle of the request --------------------------------------------------------------------------


def taken(session: Session) -> Any:
    return session["cart"]


def assigned(session: Session) -> Any:
    cart = session["cart"] = [*session["cart"], "tea"]
    return cart


def computed(session: Session) -> Any:
    return session.modify("cart", lambda cart: [*cart, "tea"])


def by_default(session: Session) -> Any:
    return session.setdefault("cart", [])


@pytest.mark.parametrize("hold", [taken, assigned, computed, by_default], ids=lambda hold: str(hold.__name__))
def test_value_in_hand_is_watched_after_a_save_that_found_another_one(
    site: SessionSite, browser: SiteBrowser, hold: Callable[[Session], Any]
) -> None:
    """The last one wins, as between any two writes of one key, and an event says so."""
    browser.visit(lambda session: session.update(cart=["bread"]))
    other = browser.tab()

    def shops(session: Session) -> None:
        cart = hold(session)
        session["page"] = 1
        other.visit(lambda session: session.update(cart=["wine"]))
        session.commit()
        cart.append("milk")

    browser.visit(shops)

    assert browser.read()["cart"][-1] == "milk"
    assert [event.keys for event in site.told("session.overwritten")] == [("cart",)]


def test_value_in_hand_that_stays_as_it_is_overwrites_nothing(site: SessionSite, browser: SiteBrowser) -> None:
    """Only a change of it is a write."""
    browser.visit(lambda session: session.update(cart=["bread"]))
    other = browser.tab()

    def looks(session: Session) -> Any:
        cart = session["cart"]
        session["page"] = 1
        other.visit(lambda session: session.update(cart=["wine"]))
        session.commit()
        session["page"] = len(cart)
        return session["cart"]

    assert browser.visit(looks).result == ["wine"]
    assert browser.read() == {"n": 1, "cart": ["wine"], "page": 1}
    assert not site.told("session.overwritten")


def test_value_in_hand_and_the_one_that_is_stored_are_both_watched(site: SessionSite, browser: SiteBrowser) -> None:
    """What the session shows after the save is what was stored. Whichever is changed is saved."""
    browser.visit(lambda session: session.update(cart=["bread"]))
    other = browser.tab()

    def shops(session: Session) -> Any:
        old = session["cart"]
        session["page"] = 1
        other.visit(lambda session: session.update(cart=["wine"]))
        session.commit()
        session["cart"].append("cheese")
        session.commit()
        seen = [*session["cart"]]
        old.append("milk")
        session.commit()
        session["cart"].append("tea")
        return seen

    assert browser.visit(shops).result == ["wine", "cheese"]
    assert browser.read()["cart"] == ["bread", "milk", "tea"]


@pytest.mark.parametrize(
    "let_go",
    [
        pytest.param(lambda session: session.update(cart=["new"]), id="assigned"),
        pytest.param(lambda session: session.pop("cart"), id="removed"),
        pytest.param(lambda session: session.clear(), id="cleared"),
        pytest.param(lambda session: session.reload(), id="reloaded"),
        pytest.param(lambda session: session.modify("cart", lambda _: ["new"]), id="modified"),
    ],
)
def test_value_in_hand_that_the_session_let_go_is_not_watched(
    site: SessionSite, browser: SiteBrowser, let_go: Callable[[Session], object]
) -> None:
    """As with any dict: a value that was replaced or removed by this very request is just a value."""
    browser.visit(lambda session: session.update(cart=["bread"]))
    other = browser.tab()

    def shops(session: Session) -> Any:
        cart = session["cart"]
        session["page"] = 1
        other.visit(lambda session: session.update(cart=["wine"]))
        session.commit()
        let_go(session)
        cart.append("milk")
        session.commit()
        return session.get("cart", [])

    assert "milk" not in browser.visit(shops).result
    assert "milk" not in browser.read().get("cart", [])


def test_value_of_another_user_is_not_written_into_the_session_after_it(
    site: SessionSite, browser: SiteBrowser
) -> None:
    """A login as somebody else lets go of everything, also of what was kept for a value in hand."""
    browser.visit(lambda session: session.login("ada"))
    browser.visit(lambda session: session.update(cart=["bread"]))
    other = browser.tab()

    def changes_hands(session: Session) -> None:
        cart = session["cart"]
        session["page"] = 1
        other.visit(lambda session: session.update(cart=["wine"]))
        session.commit()
        session.login("bob")
        cart.append("milk")

    browser.visit(changes_hands)

    assert browser.read() == {}


def end(session: Session) -> None:
    session.invalidate()


def renew(session: Session) -> None:
    session.renew_token()


def log_in_eve(session: Session) -> None:
    session.login("eve")


@pytest.mark.parametrize("lose_by", [end, renew], ids=lambda view: str(view.__name__))
def test_change_of_a_value_in_hand_is_told_after_the_session_was_lost(
    site: SessionSite, browser: SiteBrowser, lose_by: Callable[[Session], None]
) -> None:
    """It cannot be saved, like everything else of this request, and like everything else it is told."""
    browser.visit(lambda session: session.update(cart=["bread"]))
    other = browser.tab()

    def shops(session: Session) -> None:
        cart = session["cart"]
        session["page"] = 1
        other.visit(lose_by)
        session.commit()
        site.events.clear()
        cart.append("milk")

    browser.visit(shops)

    assert [event.keys for event in site.told("session.write_discarded")] == [("cart",)]


def test_change_of_a_value_in_hand_is_told_each_time_in_a_detached_request(
    site: SessionSite, browser: SiteBrowser
) -> None:
    """Also after a `commit()` that could only drop what was there."""
    late = browser.tab()
    browser.visit(lambda session: session.renew_token())

    def shops(session: Session) -> None:
        cart = session["cart"] = ["bread"]
        session.commit()
        cart.append("milk")

    late.visit(shops)

    assert [event.keys for event in site.told("session.write_discarded")] == [("cart",), ("cart",)]


@pytest.mark.parametrize("lose_by", [end, renew, log_in_eve], ids=lambda view: str(view.__name__))
def test_value_in_hand_of_a_lost_session_is_not_written_into_the_session_of_a_login(
    site: SessionSite, browser: SiteBrowser, lose_by: Callable[[Session], None]
) -> None:
    """It may be another user's, and the login begins without another user's data."""
    browser.visit(lambda session: session.login("ann"))
    browser.visit(lambda session: session.update(cart=["a gift of ann's"]))
    other = browser.tab()

    def changes_hands(session: Session) -> None:
        cart = session["cart"]
        other.visit(lose_by)
        session["page"] = 1
        session.commit()
        cart.append("milk")
        session.login("bob")

    browser.visit(changes_hands)

    assert browser.visit(lambda session: (session.username, session.copy())).result == ("bob", {})


def test_so_many_values_in_hand_are_watched_and_no_more(site: SessionSite, browser: SiteBrowser) -> None:
    """A response that goes on for hours, and saves all the time, does not keep everything that it ever read."""
    browser.visit(lambda session: session.update(cart=[]))
    other = browser.tab()

    def goes_on(session: Session) -> int:
        for number in range(150):
            session["cart"]
            session["page"] = number
            other.visit(partial(Session.update, cart=[number]))
            session.commit()
        return len(session._transaction.changes._former)

    assert browser.visit(goes_on).result == 100


# What cannot be saved -----------------------------------------------------------------------------------------------


def needs_an_empty_cart(cart: list[str]) -> list[str]:
    if cart:
        raise ValueError("only an empty cart will do")
    return ["tea"]


def finishes(session: Session) -> None:
    session["page"] = 1
    session.modify("cart", needs_an_empty_cart)


def commits(session: Session) -> None:
    finishes(session)
    session.commit()


@pytest.mark.parametrize("save", [finishes, commits], ids=lambda view: str(view.__name__))
def test_function_that_fails_on_fresh_data_is_told(
    site: SessionSite, browser: SiteBrowser, save: Callable[[Session], None]
) -> None:
    """The function of `modify` runs again where another request got in between; nothing is saved then."""
    browser.visit(lambda session: session.update(cart=[]))
    other = browser.tab()

    def shops(session: Session) -> None:
        session["cart"]
        other.visit(lambda session: session.update(cart=["wine"]))
        save(session)

    with pytest.raises(ValueError, match="only an empty cart"):
        browser.visit(shops)

    assert browser.read() == {"n": 1, "cart": ["wine"]}
    assert [set(event.keys) for event in site.told("session.write_discarded")] == [{"page", "cart"}]


def fails(site: SessionSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store takes nothing any more."""

    def replace(record: object) -> bool:
        raise StoreUnavailable("on fire")

    monkeypatch.setattr(site.store, "replace", replace)


def is_too_large(session: Session) -> None:
    session["late"] = "x" * 300_000


def is_no_value(session: Session) -> None:
    session["late"].append(object())


def is_small(session: Session) -> None:
    session["late"] = 1


@pytest.mark.parametrize(
    ("write", "hinder"),
    [(is_small, fails), (is_too_large, None), (is_no_value, None)],
    ids=["outage", "too large", "no value"],
)
def test_late_write_that_cannot_be_saved_is_told(
    site: SessionSite, browser: SiteBrowser, write: Callable[[Session], None], hinder: Any, monkeypatch: Any
) -> None:
    """The response is out, so nobody else can say that it did not work."""
    browser.visit(lambda session: session.update(late=[]))
    events: list[Event] = site.events

    def application(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        session = get_session(environ)
        session["n"]
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield b"first "
        if hinder is not None:
            hinder(site, monkeypatch)
        write(session)
        yield b"second"

    late = TestApp(validator(site.middleware.manager.wrap(application)), cookiejar=browser.client.cookiejar)
    assert late.get("/").text == "first second"

    assert [event.keys for event in events if event.name == "session.write_discarded"] == [("late",)]


@pytest.mark.parametrize("is_former", [False, True], ids=["shown", "in hand from before"])
@pytest.mark.parametrize("save", [lambda session: None, lambda session: session.commit()], ids=["finish", "commit"])
def test_all_that_falls_with_a_value_that_cannot_be_stored_is_told(
    site: SessionSite, browser: SiteBrowser, save: Callable[[Session], None], is_former: bool
) -> None:
    """Every key, whether its value was assigned or changed inside, before or after the one that is to blame."""
    browser.visit(lambda session: session.update(first=[], bad=[], last=[]))

    other = browser.tab()

    def fills(session: Session) -> None:
        if is_former:
            values = {key: session[key] for key in ("first", "bad", "last")}
            session["page"] = 1
            other.visit(lambda session: session.update(first=[0], bad=[0], last=[0]))
            session.commit()
            for value in values.values():
                value.append(1)
            values["bad"].append(object())
            session["new"] = 1
            save(session)
            return
        for key in ("first", "bad", "last"):
            session[key].append(1)
        session["bad"].append(object())
        session["new"] = 1
        save(session)

    with pytest.raises(TypeError, match="'bad'"):
        browser.visit(fills)

    (event,) = site.told("session.write_discarded")
    assert set(event.keys) == {"first", "bad", "last", "new"}
