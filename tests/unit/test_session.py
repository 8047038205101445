"""The session object: a dict with a few more words."""

from __future__ import annotations

import copy
import json
import operator
import pickle
import re
import types
import weakref
from collections import ChainMap
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest
from django.utils.html import conditional_escape
from django.utils.safestring import mark_safe
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from markupsafe import Markup, escape

from sessionware import (
    ConfigError,
    MemoryStore,
    Session,
    SessionClosed,
    SessionMiddleware,
    StoreUnavailable,
    Timeouts,
    get_session,
)
from tests.support.fixed import SECRET, Clock
from tests.support.kit import SessionSite, SiteBrowser
from tests.support.wsgi import Started

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse


@pytest.fixture
def site(clock: Clock) -> SessionSite:
    return SessionSite(clock=clock)


@pytest.fixture
def browser(site: SessionSite) -> SiteBrowser:
    return site.browser()


# The mapping ----------------------------------------------------------------------------------------------------------


def test_it_is_a_dict(browser: SiteBrowser) -> None:
    """Everything that a dict can do."""

    def fill(session: Session) -> tuple[int, bool, int, int]:
        session["a"] = 1
        session |= {"b": 2}
        session.update(c=3, d=4)
        session.setdefault("e", []).append(5)
        del session["d"]
        return session.pop("c"), "a" in session, session.get("x", 0), len(session)

    assert browser.visit(fill).result == (3, True, 0, 3)
    assert browser.visit(lambda session: (dict(session), list(session))).result == (
        {"a": 1, "b": 2, "e": [5]},
        ["a", "b", "e"],
    )


def test_missing_key_is_a_key_error(browser: SiteBrowser) -> None:
    """To read, to delete and to modify without a default."""

    def view(session: Session) -> None:
        for act in (lambda: session["x"], lambda: session.__delitem__("x"), lambda: session.modify("x", abs)):
            with pytest.raises(KeyError):
                act()

    browser.visit(view)


def test_keys_are_text(browser: SiteBrowser) -> None:
    """A number as a key is a mistake that is named at once."""

    def view(session: Session) -> None:
        with pytest.raises(TypeError, match="int"):
            session[cast(Any, 1)] = 2
        with pytest.raises(TypeError):
            session.modify(cast(Any, b"x"), len)

    browser.visit(view)


def test_keys_can_be_taken_away_while_iterating(browser: SiteBrowser) -> None:
    """As with `list(d)`, because sessions are tidied up that way."""
    browser.visit(lambda session: session.update(a=1, b=2))

    def view(session: Session) -> None:
        for key in session:
            del session[key]

    browser.visit(view)

    assert browser.read() == {}


def test_copy_is_a_dict_of_its_own(browser: SiteBrowser) -> None:
    """Changing it does not change the session."""
    browser.visit(lambda session: session.copy().update(a=1))

    assert browser.read() == {}


def test_repr_shows_no_value_and_asks_nothing(site: SessionSite, browser: SiteBrowser) -> None:
    """It is printed into logs and tracebacks."""
    browser.visit(lambda session: session.update(pin="4711"))
    browser.read()
    site.store.taken()

    shown = browser.visit(lambda session: (repr(session), session["pin"], repr(session))).result

    assert "4711" not in shown[0] + shown[2]
    assert site.store.taken() == ["load"]


def matched(mapping: Any) -> object:
    match mapping:
        case {"a": 1, **rest}:
            return rest
    return "no match"


def augmented(mapping: Any, other: Any) -> object:
    mapping |= other
    return dict(mapping)


def emptied(mapping: Any) -> list[object]:
    return [mapping.popitem() for _ in range(3)]


#: For each of dict's own methods, what to do with it. What needs no word here is done by `object` in the same way.
METHODS: dict[str, list[Callable[[Any], object]]] = {
    "__class_getitem__": [lambda d: type(d)[str, int].__name__ is not None],
    "__contains__": [lambda d: "a" in d, lambda d: "x" in d, lambda d: 5 in d, lambda d: [] in d],
    "__delitem__": [lambda d: d.__delitem__("a"), lambda d: d.__delitem__("x"), lambda d: d.__delitem__(5)],
    "__eq__": [lambda d: d == {"c": 3, "b": [2], "a": 1}, lambda d: operator.eq({"a": 1}, d), lambda d: d == 5],
    "__ge__": [lambda d: d >= {}],
    "__getitem__": [lambda d: d["a"], lambda d: d["x"], lambda d: d[5]],
    "__gt__": [lambda d: d > {}],
    "__hash__": [hash],
    "__ior__": [
        lambda d: augmented(d, {"a": 5, "z": 6}),
        lambda d: augmented(d, [("z", 6)]),
        lambda d: augmented(d, d),
        lambda d: augmented(d, 5),
    ],
    "__iter__": [list, lambda d: [*d], lambda d: {**d}, lambda d: max(d), lambda d: (lambda **kept: kept)(**d)],
    "__le__": [lambda d: d <= {}],
    "__len__": [len, bool],
    "__lt__": [lambda d: d < {}],
    "__ne__": [lambda d: d != {"a": 1}, lambda d: operator.ne({"a": 1}, d)],
    "__or__": [lambda d: d | {"a": 5, "z": 6}, lambda d: d | [("z", 6)], lambda d: d | d],
    "__reversed__": [lambda d: list(reversed(d))],
    "__ror__": [lambda d: {"a": 5, "z": 6} | d, lambda d: [("z", 6)] | d],
    "__setitem__": [lambda d: d.__setitem__("z", 1)],
    "clear": [lambda d: d.clear()],
    "copy": [lambda d: d.copy()],
    "fromkeys": [lambda d: type(d).fromkeys("ab", 5), lambda d: d.fromkeys("ab")],
    "get": [lambda d: d.get("a"), lambda d: d.get("x"), lambda d: d.get("x", 5), lambda d: d.get([])],
    "items": [lambda d: list(d.items()), lambda d: ("a", 1) in d.items(), lambda d: d.items() - {("a", 1)}],
    "keys": [lambda d: list(d.keys()), lambda d: d.keys() & {"a", "x"}, lambda d: d.keys() == {"a", "b", "c"}],
    "pop": [lambda d: d.pop("a"), lambda d: d.pop("x"), lambda d: d.pop("x", 5)],
    "popitem": [lambda d: d.popitem(), emptied, lambda d: (d.clear(), d.popitem())],
    "setdefault": [lambda d: d.setdefault("a", 5), lambda d: d.setdefault("z", 5), lambda d: d.setdefault("z")],
    "update": [
        lambda d: d.update({"a": 5}, z=6),
        lambda d: d.update([("z", 6), ("a", 5)]),
        lambda d: d.update(z=6),
        lambda d: d.update(),
        lambda d: d.update(5),
    ],
    "values": [lambda d: list(d.values()), lambda d: 1 in d.values()],
    "and besides": [
        matched,
        lambda d: json.dumps(dict(d)),
        lambda d: dict(sorted(d.items())),
        lambda d: ChainMap({}, d)["a"],
        lambda d: isinstance(d, Mapping),
    ],
}

#: A session shows its state there, and none of its values.
UNLIKE_DICT = {"__repr__"}


def test_every_method_of_a_dict_is_in_the_table() -> None:
    """Also those that a later Python adds."""
    own = {name for name in dir(dict) if getattr(dict, name) is not getattr(object, name, None)}
    of_the_type = {"__doc__", "__getattribute__", "__init__", "__init_subclass__", "__new__", "__sizeof__"}

    assert own - of_the_type - UNLIKE_DICT - {"__subclasshook__"} == METHODS.keys() - {"and besides"}


@pytest.mark.parametrize(
    ("name", "act"),
    [pytest.param(name, act, id=f"{name} {n}") for name in METHODS for n, act in enumerate(METHODS[name])],
)
def test_every_method_does_as_a_dict_does(browser: SiteBrowser, name: str, act: Callable[[Any], object]) -> None:
    """The same answer, or an error of the same type; and the same is left, in the same order, in the next request."""
    real: dict[str, Any] = {"a": 1, "b": [2], "c": 3}
    browser.visit(lambda session: session.update(real))

    answered = browser.visit(lambda session: outcome(act, session)).result

    assert answered == outcome(act, real)
    assert list(browser.read().items()) == list(real.items())


def outcome(act: Callable[[Any], object], mapping: Any) -> object:
    try:
        return act(mapping)
    except Exception as error:
        return type(error)


class SessionAgainstDict(RuleBasedStateMachine):
    """Whatever is done to a session, over several requests, a dict under the same hands holds the same."""

    keys = st.sampled_from(["a", "b", "c"])
    values = st.recursive(st.integers() | st.text("xyz"), lambda v: st.lists(v) | st.tuples(v), max_leaves=3)

    def __init__(self) -> None:
        super().__init__()
        self.browser = SessionSite().browser()
        self.model: dict[str, Any] = {}

    def do(self, view: Callable[..., Any]) -> object:
        return self.browser.visit(view).result

    @rule(key=keys, value=values)
    def set(self, key: str, value: object) -> None:
        self.model[key] = value
        self.do(lambda session: session.update({key: value}))

    @rule(key=keys)
    def delete(self, key: str) -> None:
        assert self.do(lambda session: session.pop(key, None)) == self.model.pop(key, None)

    @rule(key=keys)
    def append(self, key: str) -> None:
        for mapping in (self.model, None):
            if mapping is not None:
                held = mapping.setdefault(key, [])
                if isinstance(held, list):
                    held.append(1)

        def view(session: Session) -> None:
            held = session.setdefault(key, [])
            if isinstance(held, list):
                held.append(1)

        self.do(view)

    @rule(key=keys)
    def modify_twice(self, key: str) -> None:
        self.model[key] = (type(self.model.get(key, "new")).__name__, 2)

        def view(session: Session) -> None:
            session.modify(key, lambda value: (type(value).__name__,), default="new")
            session.modify(key, lambda value: (*value, 2))

        self.do(view)

    @rule(keep=st.none() | keys)
    def clear(self, keep: str | None) -> None:
        self.model = {keep: 0} if keep else {}

        def view(session: Session) -> None:
            session.clear()
            if keep:
                session[keep] = 0

        self.do(view)

    @invariant()
    def holds_the_same(self) -> None:
        assert self.browser.read() == self.model


TestSessionAgainstDict = SessionAgainstDict.TestCase
TestSessionAgainstDict.settings = hypothesis_settings(max_examples=60, stateful_step_count=15, deadline=None)


# What it is, and who ------------------------------------------------------------------------------------------------


def test_id_is_stable_and_no_credential(site: SessionSite, browser: SiteBrowser) -> None:
    """The handle stays from the first save to after a login, and is what the store calls the record."""
    ids = [
        browser.visit(lambda session: (session.commit(), session.id)[1]).result,
        browser.visit(lambda session: (setattr(session, "username", "ada"), session.id)[1]).result,
        browser.visit(lambda session: session.id).result,
    ]

    assert len(set(ids)) == 1
    assert len(ids[0]) == 32
    assert site.store.records[0].id.hex() == ids[0]


def test_times_are_whole_seconds(site: SessionSite, browser: SiteBrowser, clock: Clock) -> None:
    """When it was made, when identity was proved, when it ends."""
    clock.tick(0.7)
    browser.visit(lambda session: session.update(n=1))
    created = int(clock.now)
    clock.tick(100)

    def view(session: Session) -> tuple[bool, int | None, int | None]:
        session.username = "ada"
        return session.is_new, session.created_at, session.authenticated_at

    assert browser.visit(view).result == (False, created, created + 100)
    assert browser.visit(lambda session: session.authenticated_at).result == created + 100
    assert browser.visit(lambda session: session.expires_at).result == created + 100 + 12 * 3600


def test_new_session_says_so(browser: SiteBrowser) -> None:
    """Before anything is stored there is no handle, and there are no times."""

    def view(session: Session) -> tuple[object, ...]:
        session["n"] = 1
        return session.is_new, session.id, session.created_at, session.expires_at, session.ends_at, session.username

    assert browser.visit(view).result == (True, None, None, None, None, None)


def test_login_shows_at_once(browser: SiteBrowser) -> None:
    """Within the request that logs in, too."""

    def view(session: Session) -> tuple[str | None, str | None, int | None]:
        session.login("ada", user_id="7", session_version=3)
        return session.username, session.user_id, session.session_version

    assert browser.visit(view).result == ("ada", "7", 3)
    assert browser.visit(lambda session: (session.username, session.user_id, session.session_version)).result == (
        "ada",
        "7",
        3,
    )


@pytest.mark.parametrize(("name", "error"), [("", ValueError), (5, TypeError), (b"ada", TypeError)])
def test_what_is_not_a_name_cannot_log_in(browser: SiteBrowser, name: Any, error: type[Exception]) -> None:
    """And nobody is logged in by it."""

    def view(session: Session) -> str | None:
        with pytest.raises(error):
            session.username = name
        return session.username

    assert browser.visit(view).result is None


@pytest.mark.parametrize("log_out", [lambda s: setattr(s, "username", None), Session.invalidate, Session.clear])
def test_logging_out_ends_the_session_at_once(
    site: SessionSite, browser: SiteBrowser, log_out: Callable[..., Any]
) -> None:
    """All three ways: the record is a tombstone before the response is made, and the old cookie opens nothing."""
    browser.visit(lambda session: (session.update(n=1), setattr(session, "username", "ada")))
    thief = browser.tab()
    seen = []

    def view(session: Session) -> tuple[dict[str, Any], str | None]:
        log_out(session)
        seen.extend(site.store.records)
        return session.copy(), session.username

    visit = browser.visit(view)

    assert visit.result == ({}, None)
    assert (seen[0].owner, len(seen)) == (None, 1)
    assert "Max-Age=0" in visit.set_cookies[0]
    assert browser.cookies == {}
    assert thief.visit(lambda session: (session.username, session.copy())).result == (None, {})


def test_writing_after_invalidate_starts_a_new_session(browser: SiteBrowser) -> None:
    """A message for whoever was logged out, for example."""
    browser.visit(lambda session: (session.update(n=1), setattr(session, "username", "ada")))

    def view(session: Session) -> tuple[str | None, str | None]:
        before = session.id
        session.invalidate()
        session["bye"] = True
        return before, session.id

    before, between = browser.visit(view).result
    after, data = browser.visit(lambda session: (session.id, session.copy())).result

    assert data == {"bye": True}
    assert (between, before == after) == (None, False)


def test_clear_of_an_anonymous_session_keeps_it(browser: SiteBrowser) -> None:
    """Nobody is logged in, so there is nobody to log out."""
    id = browser.visit(lambda session: (session.update(n=1), session.commit(), session.id)[2]).result
    browser.visit(Session.clear)

    assert browser.visit(lambda session: (session.id, session.copy())).result == (id, {})


def test_renewing_changes_the_token_and_nothing_else(site: SessionSite, browser: SiteBrowser) -> None:
    """Same record, same data; the old cookie is dead."""
    id = browser.visit(lambda session: (session.update(n=1), session.commit(), session.id)[2]).result
    old = browser.tab()
    browser.visit(Session.renew_token)

    assert browser.visit(lambda session: (session.id, session.copy())).result == (id, {"n": 1})
    assert old.read() == {}
    assert site.told("session.renewed")


@pytest.mark.parametrize(("seconds", "error"), [(0, ValueError), (-5, ValueError), ("60", TypeError), (1.5, TypeError)])
def test_remember_takes_whole_seconds(browser: SiteBrowser, seconds: Any, error: type[Exception]) -> None:
    """Or a timedelta."""

    def view(session: Session) -> None:
        with pytest.raises(error):
            session.remember(seconds)

    browser.visit(view)


def test_remember_is_bounded(site: SessionSite, browser: SiteBrowser, clock: Clock) -> None:
    """By `Timeouts.remember`, whatever is asked for."""
    browser.visit(lambda session: (setattr(session, "username", "ada"), session.remember(timedelta(days=400))))

    assert site.store.records[0].expires_at == clock.now + 30 * 24 * 3600


def test_commit_saves_now(site: SessionSite, browser: SiteBrowser) -> None:
    """And what follows is saved too, with the one cookie that is needed."""

    def view(session: Session) -> int:
        session["n"] = 1
        session.commit()
        saved = len(site.store.records)
        session["n"] = 2
        return saved

    visit = browser.visit(view)

    assert (visit.result, len(visit.set_cookies)) == (1, 1)
    assert browser.read() == {"n": 2}


def test_commit_stores_an_empty_session_too(site: SessionSite, browser: SiteBrowser) -> None:
    """It has a handle and its times from then on."""

    def view(session: Session) -> tuple[object, ...]:
        session.commit()
        return session.is_new, session.id, session.created_at, session.ends_at

    (is_new, id, created_at, ends_at), now = browser.visit(view).result, int(site.clock.now)

    assert (is_new, created_at, ends_at) == (False, now, now + 90 * 24 * 3600)
    assert [record.id.hex() for record in site.store.records] == [id]
    assert browser.visit(lambda session: session.id).result == id


def test_reload_forgets_what_is_not_saved(site: SessionSite, browser: SiteBrowser) -> None:
    """Data, a login, a renewal, and remembering."""
    browser.visit(lambda session: session.update(n=1))
    site.store.taken()

    def view(session: Session) -> tuple[object, ...]:
        session["n"] = 2
        session.login("ada")
        session.renew_token()
        session.remember(60)
        session.reload()
        return session.username, session.copy()

    visit = browser.visit(view)

    assert (visit.result, visit.set_cookies) == ((None, {"n": 1}), [])
    assert "replace" not in site.store.taken()


def test_reload_shows_what_others_saved(browser: SiteBrowser) -> None:
    """While the request was at work."""
    browser.visit(lambda session: session.update(n=1))

    def view(session: Session) -> dict[str, Any]:
        assert session["n"] == 1
        browser.tab().visit(lambda other: other.update(n=2, m=3))
        session.reload()
        return session.copy()

    assert browser.visit(view).result == {"n": 2, "m": 3}


def test_reload_reads_by_the_token_that_the_request_has_by_now(browser: SiteBrowser) -> None:
    """After a login that was saved, the cookie that it came with opens nothing any more."""
    browser.visit(lambda session: session.update(n=1))

    def view(session: Session) -> tuple[object, ...]:
        session.login("ada")
        session.commit()
        session["n"] = 2
        session.reload()
        return session.username, session.copy()

    visit = browser.visit(view)

    assert (visit.result, len(visit.set_cookies)) == (("ada", {"n": 1}), 1)
    assert browser.visit(lambda session: session.username).result == "ada"


def test_reload_finds_out_that_the_session_is_over(site: SessionSite, browser: SiteBrowser) -> None:
    """It is empty then, drops what is written, and says why."""
    browser.visit(lambda session: session.update(n=1))

    def view(session: Session) -> tuple[object, ...]:
        site.middleware.manager.end(str(session.id))
        session.reload()
        session["n"] = 2
        return session.id, session.ended_because

    visit = browser.visit(view)

    assert (visit.result, visit.set_cookies) == ((None, "admin"), [])
    assert [event.keys for event in site.told("session.write_discarded")] == [("n",)]


def test_reload_after_the_end_of_the_session_reads_nothing(browser: SiteBrowser) -> None:
    """The request that ended it goes on without one, and may still start another."""
    browser.visit(lambda session: session.update(n=1))

    def view(session: Session) -> dict[str, Any]:
        session.invalidate()
        session["n"] = 2
        session.reload()
        seen = session.copy()
        session["m"] = 3
        return seen

    assert browser.visit(view).result == {}
    assert browser.read() == {"m": 3}


def test_reload_without_a_session_drops_what_would_start_one(site: SessionSite, browser: SiteBrowser) -> None:
    """And asks nothing of the store."""
    visit = browser.visit(lambda session: (session.update(n=1), session.reload(), session.copy()))

    assert (visit.result[-1], visit.set_cookies, site.store.taken()) == ({}, [], [])


def test_reload_in_an_outage_changes_nothing(site: SessionSite, browser: SiteBrowser) -> None:
    """What was written is still there to be saved."""
    browser.visit(lambda session: session.update(n=1))

    def view(session: Session) -> None:
        session["n"] = 2
        site.store.broken.add("load")
        with pytest.raises(StoreUnavailable):
            session.reload()
        site.store.broken.clear()

    browser.visit(view)

    assert browser.read() == {"n": 2}


def test_reload_after_the_request_is_refused(browser: SiteBrowser) -> None:
    """What was loaded can still be read, but not anew."""
    browser.visit(lambda session: session.update(n=1))
    kept: list[Session] = []
    browser.visit(lambda session: (kept.append(session), session.get("n")))

    with pytest.raises(SessionClosed):
        kept[0].reload()

    assert kept[0]["n"] == 1


def test_value_in_hand_is_watched_after_commit(browser: SiteBrowser) -> None:
    """What was taken out before `commit()` can be changed after it."""

    def view(session: Session) -> None:
        session["cart"] = cart = []
        session.commit()
        cart.append("tea")

    browser.visit(view)

    assert browser.read() == {"cart": ["tea"]}


def test_two_logins_in_one_request_are_the_last_ones(browser: SiteBrowser) -> None:
    """Of two users, the second; nothing of the first one's stays."""

    def view(session: Session) -> None:
        session.username = "ada"
        session["of"] = "ada"
        session.username = "bob"

    browser.visit(view)

    assert browser.visit(lambda session: (session.username, session.copy())).result == ("bob", {})


@pytest.mark.parametrize(
    ("acts", "expected"),
    [
        ([lambda s: s.update(k=5), lambda s: s.modify("k", lambda n: n + 1)], {"k": 6, "n": 1}),
        ([lambda s: s.modify("k", lambda n: n + 1, 0), lambda s: s.modify("k", lambda n: n * 5)], {"k": 5, "n": 1}),
        ([lambda s: s.modify("k", lambda n: n + 1, 0), lambda s: s.pop("k")], {"n": 1}),
        ([lambda s: s.pop("n"), lambda s: s.modify("n", lambda n: n + 1, 7)], {"n": 8}),
        ([lambda s: s.clear(), lambda s: s.modify("n", lambda n: n + 1, 7)], {"n": 8}),
        ([lambda s: s.modify("n", lambda n: [n]), lambda s: s["n"].append(2)], {"n": [1, 2]}),
        ([lambda s: s.update(n=2), lambda s: s.update(n=1)], {"n": 1}),
    ],
)
def test_changes_of_one_key_add_up(
    browser: SiteBrowser, acts: list[Callable[..., Any]], expected: dict[str, Any]
) -> None:
    """Within a request, in their order."""
    browser.visit(lambda session: session.update(n=1))
    browser.visit(lambda session: [act(session) for act in acts])

    assert browser.read() == expected


# Flash --------------------------------------------------------------------------------------------------------------


def test_flash_is_shown_once(browser: SiteBrowser) -> None:
    """Peeking leaves it, popping takes it."""
    browser.visit(lambda session: (session.flash("saved"), session.flash("mail sent")))

    assert browser.visit(lambda session: session.peek_flash()).result == ["saved", "mail sent"]
    assert browser.visit(lambda session: session.pop_flash()).result == ["saved", "mail sent"]
    assert browser.visit(lambda session: session.pop_flash()).result == []
    assert browser.read() == {}


def leaves_three(session: Session) -> None:
    session.flash("saved")
    session.flash("no", "error")
    session.flash("mail sent")


def test_message_of_any_queue_is_shown_by_who_asks_for_none(browser: SiteBrowser) -> None:
    """In the order in which they were left. As in Flask, where the second argument is a category, none is lost."""
    browser.visit(leaves_three)

    assert browser.visit(lambda session: session.peek_flash()).result == ["saved", "no", "mail sent"]
    assert browser.visit(lambda session: session.pop_flash()).result == ["saved", "no", "mail sent"]
    assert browser.visit(lambda session: session.pop_flash("error")).result == []


def test_queues_can_be_shown_apart(browser: SiteBrowser) -> None:
    """The queue without a name too."""
    browser.visit(leaves_three)

    assert browser.visit(lambda session: session.peek_flash("error")).result == ["no"]
    assert browser.visit(lambda session: session.pop_flash("error")).result == ["no"]
    assert browser.visit(lambda session: session.pop_flash("other")).result == []
    assert browser.visit(lambda session: session.pop_flash("")).result == ["saved", "mail sent"]
    assert browser.read() == {}


class Element:
    """What builds HTML in Python gives, instead of text."""

    def __html__(self) -> str:
        return "<b>saved</b>"


@pytest.mark.parametrize("message", [Markup("<b>saved</b>"), mark_safe("<b>saved</b>"), Element()], ids=type)
@pytest.mark.parametrize("take", [Session.peek_flash, Session.pop_flash])
def test_markup_stays_markup(browser: SiteBrowser, message: Any, take: Callable[[Session], list[Any]]) -> None:
    """Jinja and Django do not escape it on the next page. What was plain text is escaped there."""
    browser.visit(lambda session: (session.flash(message), session.flash("<b>typed</b>")))
    markup, text = browser.visit(take).result

    assert (markup, text) == ("<b>saved</b>", "<b>typed</b>")
    assert (escape(markup), conditional_escape(markup)) == ("<b>saved</b>", "<b>saved</b>")
    assert (escape(text), conditional_escape(text)) == ("&lt;b&gt;typed&lt;/b&gt;",) * 2
    assert "<b>typed" not in escape(markup + text)


def test_pop_takes_only_what_it_showed(browser: SiteBrowser) -> None:
    """A message that another request leaves meanwhile is shown by the next page, even one of the same text."""
    browser.visit(lambda session: session.flash("saved"))

    def slow(session: Session) -> list[str]:
        shown = session.pop_flash()
        browser.tab().visit(lambda other: other.flash("saved"))
        return shown

    assert browser.visit(slow).result == ["saved"]
    assert browser.visit(lambda session: session.pop_flash()).result == ["saved"]


@pytest.mark.parametrize(
    ("method", "headers"),
    [("HEAD", {}), ("GET", {"Sec-Purpose": "prefetch"}), ("GET", {"Sec-Purpose": "prefetch;prerender"})],
)
def test_page_that_nobody_sees_leaves_the_messages(browser: SiteBrowser, method: str, headers: dict[str, str]) -> None:
    """They are for people."""
    browser.visit(lambda session: session.flash("saved"))

    unseen = browser.visit(lambda session: session.pop_flash(), method=method, headers=headers)

    assert unseen.result == ["saved"]
    assert browser.visit(lambda session: session.pop_flash()).result == ["saved"]


def test_pop_without_messages_writes_nothing(site: SessionSite, browser: SiteBrowser) -> None:
    """Every page asks for messages, and most have none."""
    browser.visit(lambda session: session.update(n=1))
    browser.read()
    site.store.taken()
    browser.visit(lambda session: session.pop_flash())

    assert site.store.taken() == ["load"]


# CSRF tokens ----------------------------------------------------------------------------------------------------------


def test_csrf_token_lasts_for_the_session_and_changes_at_login(browser: SiteBrowser) -> None:
    """Forms in two tabs work both; one from before a login does not work after it."""
    first = browser.visit(lambda session: (session.commit(), session.csrf_token)[1]).result

    assert browser.visit(lambda session: session.csrf_token).result == first
    assert browser.visit(lambda session: session.check_csrf(first)).result

    def logs_in(session: Session) -> str:
        session.username = "ada"
        return session.csrf_token

    second = browser.visit(logs_in).result
    assert not browser.visit(lambda session: session.check_csrf(first)).result
    assert browser.visit(lambda session: session.check_csrf(second)).result


def test_csrf_token_is_nobody_elses(site: SessionSite, browser: SiteBrowser) -> None:
    """Nor anything else."""
    token = browser.visit(lambda session: (session.commit(), session.csrf_token)[1]).result
    other = site.browser()
    other.visit(lambda session: session.commit())

    assert not other.visit(lambda session: session.check_csrf(token)).result
    assert not site.browser().visit(lambda session: session.check_csrf(token)).result
    assert not browser.visit(lambda session: session.check_csrf("")).result
    assert not browser.visit(lambda session: session.check_csrf("é\ud800")).result


def test_form_without_a_token_is_refused(browser: SiteBrowser) -> None:
    """`form.get("csrf_token")` is None then, and that is no mistake of the application."""
    assert browser.visit(lambda session: session.check_csrf(None)).result is False


def test_csrf_token_survives_a_rotation_of_the_secret(clock: Clock) -> None:
    """Every secret of the ring is accepted."""
    new, store = "another secret, that is long enough too", MemoryStore()
    before, after = SessionSite(store, clock), SessionSite(store, clock, secret=[new, SECRET])
    browser = before.browser()
    token = browser.visit(lambda session: (session.commit(), session.csrf_token)[1]).result

    assert SiteBrowser(after, browser.client.cookiejar).visit(lambda session: session.check_csrf(token)).result


# Getting it, and setting it up ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("attribute", ["environ", "env", "wsgi_environ", "META"])
def test_session_is_found_in_any_request_object(attribute: str) -> None:
    """Whatever the framework calls the environ."""
    environ = {}

    def app(environ_: dict[str, Session], start_response: StartResponse) -> list[Any]:
        environ.update(environ_)
        start_response("200 OK", [])
        return []

    SessionMiddleware(app, SECRET)({}, Started())

    assert get_session(types.SimpleNamespace(**{attribute: environ})) is get_session(environ)


@pytest.mark.parametrize("request_", [{}, types.SimpleNamespace(environ={}), {"sessionware.session": "no"}])
def test_missing_middleware_is_a_config_error_with_the_line_to_write(
    request_: Any,
) -> None:
    """The commonest mistake has the clearest answer."""
    with pytest.raises(ConfigError, match=r"app = SessionMiddleware\(app, secret="):
        get_session(request_)


def app(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [])
    return []


@pytest.mark.parametrize(
    "settings",
    [
        {"app": None},
        {"secret": "short"},
        {"store": "sqlite:///sessions.db"},
        {"store": object()},
        {"store": MemoryStore},
        {"clock": 0},
        {"cookie": "sid"},
        {"timeouts": 3600},
        {"cross_origin": "ignore"},
        {"trusted_origins": "https://partner.example"},
        {"environ_key": ""},
        {"environ_key": None},
        {"max_bytes": 10},
        {"max_bytes": "256k"},
        {"on_event": "print"},
    ],
)
def test_wrong_setting_fails_when_it_is_built(settings: dict[str, Any]) -> None:
    """Not at the first request, and with a text that says what to write."""
    with pytest.raises(ConfigError):
        SessionMiddleware(**{"app": app, "secret": SECRET, **settings})


def test_looking_while_it_is_saved_changes_nothing() -> None:
    """An application's thread may read on while the response is sent; here what is being encoded does so."""
    site = SessionSite()
    browser = site.browser()
    browser.visit(lambda session: session.update(a=[1], b=2))

    class Reads(list[int]):
        session: Session

        def __iter__(self) -> Iterator[Any]:
            seen.append(self.session.get("b"))
            return super().__iter__()

    seen: list[int] = []

    def changes(session: Session) -> None:
        session["a"].append(reads := Reads([3]))
        reads.session = session

    browser.visit(changes)

    assert seen != []
    assert browser.read() == {"a": [1, [3]], "b": 2}


def test_session_can_be_weakly_referenced() -> None:
    """As keys of caches are."""
    assert SessionSite().browser().visit(lambda session: weakref.ref(session)() is session).result


def test_user_id_is_text() -> None:
    """A number, as databases count, is told at once and not when the session is saved."""

    def logs_in(session: Session) -> None:
        with pytest.raises(TypeError, match="text"):
            session.login("ada", user_id=cast(Any, 7))

    SessionSite().browser().visit(logs_in)


@pytest.mark.parametrize(("answer", "expected"), [(1, "ada"), (0, None), (None, None)])
def test_check_of_a_login_says_yes_or_no_in_any_way(answer: int | None, expected: str | None) -> None:
    """As a row of a database does."""
    browser = SessionSite().browser()
    browser.visit(lambda session: session.login("ada", check=lambda: answer))

    assert browser.visit(lambda session: session.username).result == expected


def test_store_may_say_yes_and_no_by_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a count of changed rows does."""
    store = MemoryStore()
    create, replace = store.create, store.replace
    monkeypatch.setattr(store, "create", lambda record: int(create(record)))
    monkeypatch.setattr(store, "replace", lambda record: int(replace(record)))
    browser = SessionSite(store).browser()
    for _ in range(3):
        browser.visit(lambda session: session.modify("n", lambda n: n + 1, default=0))

    assert browser.read() == {"n": 3}


def test_key_that_is_not_text_is_not_there() -> None:
    """Looking for it is not a mistake, as with a dict."""
    key: Any = 5
    browser = SessionSite().browser()

    assert browser.visit(lambda session: (session.get(key), session.pop(key, "none"))).result == (None, "none")


def test_modify_wants_a_function() -> None:
    """A value in its place is a mistake, whether the key is there or not."""

    def sets(session: Session) -> None:
        with pytest.raises(TypeError, match="a function"):
            session.modify("n", cast(Any, 5))

    SessionSite().browser().visit(sets)


def test_misspelt_attribute_is_an_error() -> None:
    """`session.usrename = "ada"` would look like a login and not be one."""

    def misspells(session: Session) -> None:
        with pytest.raises(AttributeError, match=r"session\['usrename'\]"):
            setattr(session, "usrename", "ada")  # noqa: B010 (mypy knows that it is wrong)

    SessionSite().browser().visit(misspells)


#: What other libraries' sessions have, and what of ours the error has to name.
OTHERS = {
    "Flask and Flask-Session": {
        "permanent": "remember", "modified": "commit", "new": "is_new", "accessed": "Opened", "sid": "session.id",
    },
    "Django": {
        "session_key": "session.id", "save": "commit", "delete": "invalidate", "flush": "invalidate",
        "cycle_key": "renew_token", "set_expiry": "remember", "get_expiry_age": "expires_at",
        "get_expiry_date": "expires_at", "get_expire_at_browser_close": "remember", "has_key": "in session",
        "set_test_cookie": "csrf_token", "test_cookie_worked": "is_new", "delete_test_cookie": "csrf_token",
        "clear_expired": "prune", "exists": "is_new", "load": "reload", "is_empty": "not session",
    },
    "Pyramid": {
        "created": "created_at", "changed": "commit", "new_csrf_token": "renew_csrf", "get_csrf_token": "csrf_token",
        "adjust_timeout_for_session": "Timeouts",
    },
    "Beaker": {
        "revert": "reload", "lock": "modify", "unlock": "modify", "persist": "commit", "last_accessed": "manager",
        "get_by_id": "manager", "domain": "Cookie", "path": "Cookie", "secure": "Cookie", "timeout": "Timeouts",
        "was_invalidated": "ended_because",
    },
    "CherryPy": {
        "regenerate": "renew_token", "acquire_lock": "modify", "release_lock": "modify", "clean_up": "prune",
        "missing": "ended_because",
    },
    "aiohttp-session": {"identity": "session.id", "empty": "not session", "max_age": "expires_at",
                        "set_new_identity": "renew_token"},
    "habit": {"user": "username", "user_name": "username", "is_authenticated": "username", "destroy": "invalidate"},
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "ours"), [pytest.param(*pair, id=f"{who}: {pair[0]}") for who in OTHERS for pair in OTHERS[who].items()]
)
def test_name_of_another_library_leads_to_ours(site: SessionSite, name: str, ours: str) -> None:
    """Reading it, calling it and assigning it: `session.permanent = True` must not pass for a session that lasts."""

    def view(session: Session) -> None:
        with pytest.raises(AttributeError, match=rf"{name}.*{re.escape(ours)}"):
            getattr(session, name)
        with pytest.raises(AttributeError, match=rf"{name}.*{re.escape(ours)}"):
            setattr(session, name, True)

    site.browser().visit(view)
    assert site.store.records == []


@pytest.mark.parametrize("name", ["id", "is_new", "created_at", "manager", "csrf_token", "login", "items"])
def test_what_cannot_be_assigned_says_so(browser: SiteBrowser, name: str) -> None:
    """Instead of "has no attribute", which is not true."""

    def view(session: Session) -> None:
        with pytest.raises(AttributeError, match=f"session.{name} cannot be assigned"):
            setattr(session, name, None)

    browser.visit(view)


@pytest.mark.parametrize("act", [copy.copy, copy.deepcopy, pickle.dumps])
def test_session_is_not_copied_by_accident(browser: SiteBrowser, act: Callable[[Session], object]) -> None:
    """A copy would be the same session again, or half of it."""

    def view(session: Session) -> None:
        with pytest.raises(TypeError, match=r"use session\.copy\(\)"):
            act(session)

    browser.visit(view)


def test_timeouts_take_timedeltas(clock: Clock) -> None:
    """The same as the seconds in them."""
    site = SessionSite(clock=clock, timeouts=Timeouts(idle=timedelta(minutes=10)))
    site.browser().visit(lambda session: setattr(session, "username", "ada"))

    assert site.store.records[0].expires_at == clock.now + 600


def test_memory_store_under_several_processes_is_warned_about_once(caplog: pytest.LogCaptureFixture) -> None:
    """Each process would have sessions of its own, and visitors be logged out at random."""

    def app(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        get_session(environ)["x"] = 1
        start_response("200 OK", [])
        return []

    middleware = SessionMiddleware(app, SECRET)
    for _ in range(2):
        middleware({"wsgi.multiprocess": True}, Started())

    assert caplog.text.count("SQLiteStore") == 1
