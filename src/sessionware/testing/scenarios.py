"""What sessionware promises about requests that overlap. `explore` runs each scenario in every order.

`python -m sessionware.testing` runs them all. docs/guarantees.md shows the table, and how it would look without each of
the rules that keep the promises. First come the requests, then what must hold in the end, then the scenarios.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._request import get_session
from ..auth.users.base import User
from ..errors import StoreUnavailable
from ..session import Session
from .interleaving.ending import Ending
from .interleaving.engine import Scenario
from .interleaving.site import PARTNER, Request, auth_of, users_of

HOUR = 3600
DAY = 24 * HOUR


def request(name: str, act: Callable[[Session], object], **options: Any) -> Request:
    return Request(name, lambda environ: act(get_session(environ)), **options)


# What requests do


def writes(name: str = "write", environ: dict[str, str] | None = None, **values: Any) -> Request:
    return request(name, lambda session: session.update(values or {"a": 1}), environ=environ or {})


def counts(name: str) -> Request:
    return request(name, lambda session: session.modify("n", lambda n: n + 1))


def appends(name: str) -> Request:
    return request(name, lambda session: session.modify("items", lambda items: [*items, name], default=[]))


def appends_inside(name: str) -> Request:
    """Returns what it saw."""

    def act(session: Session) -> list[str]:
        seen = list(session["items"])
        session["items"].append(name)
        return seen

    return request(name, act)


def sets(name: str) -> Request:
    """Returns what it saw."""

    def act(session: Session) -> object:
        seen = session.get("a")
        session["a"] = name
        return seen

    return request(name, act)


def drops(name: str) -> Request:
    """Returns what it saw."""
    return request(name, lambda session: session.pop("n", None))


def logs_in(name: str = "login", who: str = "ann", **options: Any) -> Request:
    def view(environ: dict[str, Any]) -> bool:
        user = users_of(environ).get(who)
        if user.is_active:
            auth_of(environ).login_user(environ, user)
        return bool(user.is_active)

    return Request(name, view, **options)


def logs_in_by_form(name: str, form: list[str]) -> Request:
    """Logs in if the form's token is good. Returns whether it was, and the token of the page that follows."""

    def act(session: Session) -> tuple[bool, str]:
        is_good = session.check_csrf(form[-1])
        if is_good:
            session.login("ann")
        return is_good, session.csrf_token

    return request(name, act, environ=SAME_ORIGIN)


def cannot_ask() -> bool:
    raise StoreUnavailable("the accounts cannot be asked")


def commits_login_and_fails(environ: dict[str, Any]) -> None:
    session = get_session(environ)
    session.login("ann")
    session.commit()


def ends_all_of_anns(environ: dict[str, Any]) -> int:
    return get_session(environ).manager.end_all(user_id="ann")


def logs_in_for_weeks(session: Session) -> None:
    session.login("ann")
    session.commit()
    session.remember(20 * DAY)


def opens_accounts(environ: dict[str, Any]) -> None:
    for name in ("ann", "bob"):
        users_of(environ).put(User(id=name, key=name, username=name, password_hash=None))


READ = request("read", lambda session: (session.username, session.get("n"), session.get("a")))
LOOK = request("read", lambda session: len(session))
LOG_OUT = request("logout", Session.invalidate)
RENEW_TOKEN = request("renew", Session.renew_token)
PASSIVE = {"HTTP_X_SESSION_PASSIVE": "1"}
REMEMBER = request("remember", lambda session: session.remember(20 * DAY))
CLEAR = request("clear", Session.clear)
LOG_OUT_EVERYWHERE = Request("end all", lambda environ: auth_of(environ).logout(environ, everywhere=True))
END_ALL_OF_ANN = Request("end all of ann's", lambda environ: ends_all_of_anns(environ), has_own_browser=True)
LOG_OUT_AGAIN = Request("again", LOG_OUT_EVERYWHERE.view)
SHOW_USER = Request("who", lambda environ: auth_of(environ).user(environ) is not None)
DISABLE = Request("disable", lambda environ: users_of(environ).set_active("ann", False), has_own_browser=True)
FAIL = request("fail", lambda session: session.update(f=1), status="500 Internal Server Error")

CROSS_SITE = {"HTTP_SEC_FETCH_SITE": "cross-site"}
OF_PARTNER = {**CROSS_SITE, "HTTP_ORIGIN": PARTNER}
SAME_ORIGIN = {"HTTP_SEC_FETCH_SITE": "same-origin"}


def from_afar(act: Callable[[Session], object]) -> Request:
    """Returns whether it saw the browser's session."""

    def attack(session: Session) -> bool:
        act(session)
        return not session.is_new or bool(session.username)

    return request("attack", attack, environ=CROSS_SITE)


def afar_logs_in(session: Session) -> None:
    session.username = "mallory"


def afar_writes(session: Session) -> None:
    session["x"] = 1


def slides(session: Session) -> None:
    session.remember(20 * DAY, sliding=True)


# What was there before

ANONYMOUS = (writes("begin", n=1), LOOK)
"""A visitor's session, whose cookie has come back once."""
ACCOUNTS = (Request("accounts", opens_accounts), *ANONYMOUS)
LOGGED_IN = (*ACCOUNTS, logs_in())
IN_TWO_PLACES = (*LOGGED_IN, logs_in("elsewhere", has_own_browser=True))
SLIDING = (*ACCOUNTS, request("slide", slides))
LOGGED_IN_SLIDING = (*LOGGED_IN, request("slide", slides))

# What must hold in the end


def last_wins(key: str, value_of: Callable[[str, Any], Any]) -> Callable[[Ending], bool]:
    """The later writer's value is there, and if it did not see the earlier one's, `overwritten` says so."""

    def holds(end: Ending) -> bool:
        if len(end.writers) < 2:
            return False
        earlier, later = end.writers
        saw = end.reply(later).result
        replaced_unseen = saw != value_of(earlier, end.reply(earlier).result)
        is_there = bool(end.now.data.get(key) == value_of(later, saw))
        return is_there and end.told(later, "session.overwritten") == replaced_unseen

    return holds


def popped(end: Ending) -> bool:
    shown, left = end.reply("pop").result, end.now.data.get("_flash_", [])
    return [*shown, *(entry[1] for entry in left)] == ["old", "new"]


def cleared(end: Ending) -> bool:
    return end.now.data == ({"a": 1} if end.writers[-1] == "write" else {})


def delete_and_write(end: Ending) -> bool:
    return end.now.data == {"a": 1}


def nobody(end: Ending) -> bool:
    """No cookie that anybody ever had is logged in."""
    return not any(seen.username for seen in end.everywhere)


def logged_out_from_write(end: Ending) -> bool:
    is_new_visit = end.came_after("write", "logout")
    return nobody(end) and end.now.data == ({"a": 1} if is_new_visit else {})


def logged_out(end: Ending) -> bool:
    return nobody(end) and end.now.data == {}


def logout_and_login(end: Ending) -> bool:
    has_ended_it = end.writers[-1] == "logout"
    holds = not has_ended_it and end.arrived_last == "login"
    return end.is_done("login") and end.now.username == ("bob" if holds else None) and fenced(end)


def fenced(end: Ending) -> bool:
    """The cookie from before sees no login."""
    return end.at_first.is_new and end.at_first.username is None


def login_and_write(end: Ending) -> bool:
    return end.now.username == "ann" and fenced(end) and kept_or_told(end) and in_time(end, "login")


def kept_or_told(end: Ending) -> bool:
    return ("a" in end.now.data) == end.is_done("write") and end.now.data.get("n") == 1


def in_time(end: Ending, turn: str) -> bool:
    """The write is not there if it began before this turn and was saved after it."""
    if "a" not in end.now.data or end.came_after("write", turn):
        return True
    return end.writers.index("write") < end.writers.index(turn)


def login_and_read(end: Ending) -> bool:
    who = end.reply("read").result[0]
    return end.now.username == "ann" and fenced(end) and (who is None or end.came_after("read", "login"))


def both_logins_hold(end: Ending) -> bool:
    """They are done, in one session, with the visitor's data."""
    return is_one_session(end) and end.now.data == {"n": 1} and end.is_done("one") and end.is_done("two")


def is_one_session(end: Ending) -> bool:
    """The browser is logged in to the only session that there is, and the cookie from before is not."""
    return end.now.username == "ann" and len(end.sessions) == 1 and fenced(end)


def one_session_for_each_that_overlaps(end: Ending) -> bool:
    is_in_turn = end.came_after("one", "two") or end.came_after("two", "one")
    return end.now.username == "ann" and len(end.sessions) == (1 if is_in_turn else 2)


def forms_are_good(end: Ending) -> bool:
    """A form from before the login is good for every click on it, until the page after the login is there."""
    return end.now.username == "ann" and all(
        end.reply(name).result[0] != end.came_after(name, other) for name, other in (("one", "two"), ("two", "one"))
    )


def pages_are_good(end: Ending) -> bool:
    """The same, in one session, and the forms on the pages after both clicks are good."""
    return (
        forms_are_good(end)
        and is_one_session(end)
        and all(accepts(end, end.reply(n).result[1]) for n in ("one", "two"))
    )


def accepts(end: Ending, token: str) -> bool:
    return bool(end.asks(lambda environ: get_session(environ).check_csrf(token)))


def double_click_and_write(end: Ending) -> bool:
    return is_one_session(end) and kept_or_told(end)


def last_logout_ends_all(end: Ending) -> bool:
    return end.writers[-1] != "logout" or nobody(end)


def nobody_elses(end: Ending) -> bool:
    """Each cookie opens its own user's session, or none."""
    return end.seen_by("one").username in ("ann", None) and end.seen_by("two").username in ("bob", None)


def login_has_visitors_data(end: Ending) -> bool:
    """The session that the login's response gave is hers and has the data, unless its token was renewed since."""
    seen = end.seen_by("login")
    return end.came_after("renew", "login") or (seen.username == "ann" and seen.data == {"n": 1})


def renewal_is_not_joined(end: Ending) -> bool:
    """A login that overlaps a renewal does not get into the session after it."""
    is_in_turn = end.came_after("login", "renew") or end.came_after("renew", "login")
    renewed, logged_in = end.seen_by("renew"), end.seen_by("login")
    return is_in_turn or renewed.is_new or logged_in.is_new or renewed.id != logged_in.id


def acknowledged_logins(end: Ending) -> bool:
    """A login that was acknowledged has a session, unless a later login replaced its token."""
    pairs = (("one", "two"), ("two", "one"))
    return all(
        end.reply(name).status != 200 or end.came_after(other, name) or end.seen_by(name).username == "ann"
        for name, other in pairs
    )


def expired_stays_expired(end: Ending) -> bool:
    """No cookie opens what was there before, and a write is there only if it looked after that."""
    is_of_before = any(seen.username or "n" in seen.data for seen in end.everywhere)
    return not is_of_before and ("a" not in end.now.data or end.came_late("write"))


def slid(end: Ending) -> bool:
    """A slide sends its cookie only if it was saved. If that was before the login, the cookie may arrive after it."""
    writers = [name for name in end.writers if name == "login" or end.reply("read").cookie is not None]
    if end.reply("read").cookie is not None and not end.came_after("read", "login") and writers != ["read", "login"]:
        return False
    return end.now.username == "ann" or end.arrived_last == "read"


def prolongs_nothing(end: Ending) -> bool:
    return end.now.data.get("n") == 1 and {stored.record.expires_at - end.began_at for stored in end.sessions} == {
        14 * DAY
    }


def strangers_data_stays_out(end: Ending) -> bool:
    is_his_own = end.came_after("write", "login")
    return end.now.username == "bob" and end.now.data == ({"a": 1} if is_his_own else {})


def token_renewed(end: Ending) -> bool:
    return end.at_first.is_new and kept_or_told(end) and in_time(end, "renew")


def slow_write(end: Ending) -> bool:
    """What was sent with the cookie of the session before is not in the session after."""
    is_of_after = end.came_after("write", "logout") or end.came_after("write", "login")
    return end.now.username in (None, "bob") and ("a" not in end.now.data or is_of_after)


def nothing_outlives_end_all(end: Ending) -> bool:
    """Every session of hers was logged in to at the current version of her account."""
    versions = {user.id: user.session_version for user in end.world.users}
    envelopes = [stored.envelope for stored in end.sessions if stored.record.owner is not None]
    return all(envelope.session_version == versions.get(envelope.user_id or "") for envelope in envelopes)


def disabled(end: Ending) -> bool:
    """Nobody is logged in, unless the disabling itself failed.

    A bare `session.username` may remain if the login was checked before the disabling.
    """
    if "disable" not in end.writers:
        return True
    came_too_late = end.writers[-1] == "disable"
    return end.now.user is None and (came_too_late or end.now.username is None)


def unharmed(end: Ending) -> bool:
    """The attack saw nothing and got no cookie; the browser's session is as its own request left it."""
    reply = end.reply("attack")
    return not reply.result and reply.cookie is None and "x" not in end.now.data and own_request_holds(end)


def own_request_holds(end: Ending) -> bool:
    own = next(request.name for request in end.requests if request.name != "attack")
    if own == "write":
        return end.now.data == {"n": 1, "a": 1}
    if own == "login":
        return end.now.username == "ann"
    return logged_out(end) if own == "logout" else end.now.data == {"n": 1}


def remembered(end: Ending) -> bool:
    return [stored.envelope.idle for stored in end.sessions] == [None] and end.is_done("remember")


def remembered_or_told(end: Ending) -> bool:
    is_remembered = [stored.envelope.idle for stored in end.sessions] == [None]
    return is_remembered == end.is_done("remember")


def in_three_weeks(end: Ending) -> bool:
    return end.now.username == "ann" and [stored.record.expires_at for stored in end.sessions] == [
        end.began_at + 20 * DAY
    ]


def ended_everywhere_or_refused(end: Ending) -> bool:
    """This session is over in any case, and all others unless it was refused."""
    is_here = end.now.username or end.seen_by("renew").username
    return not is_here and (end.reply("end all").status != 200 or nobody(end))


def repeated_until_done(end: Ending) -> bool:
    """Once one of the two was acknowledged, nobody is logged in."""
    return all(end.reply(name).status != 200 for name in ("end all", "again")) or nobody(end)


def his_login_holds(end: Ending) -> bool:
    """And nobody took her for somebody who is logged in."""
    return end.seen_by("login").username == "bob" and end.reply("who").result == end.came_after("who", "login")


def late_write_is_kept_or_told(end: Ending) -> bool:
    """An answer that was lost may hide that it was saved."""
    is_reached = end.reply("late").status == 200
    return not is_reached or end.now.data.get("late") == 1 or end.told("late", "session.write_discarded")


def touched(end: Ending) -> bool:
    return end.now.data == {"n": 1}


def fresh_ids(end: Ending) -> bool:
    """The old id is not used, and what the browser keeps is what the last response gave it."""
    alone = {"x": 1} if end.arrived_last == "x" else {"y": 1}
    one_after_the_other = end.came_after("x", "y") or end.came_after("y", "x")
    is_used_again = end.before.ids & {stored.record.id for stored in end.sessions}
    return not is_used_again and end.now.data == ({"x": 1, "y": 1} if one_after_the_other else alone)


def told_is_readable(end: Ending) -> bool:
    return end.reply("read").result[2] == 1 or not end.came_after("read", "write")


def acknowledged_is_there(end: Ending) -> bool:
    names = {"write": "a", "other": "b"}
    done = [key for name, key in names.items() if end.has(name) and end.reply(name).status == 200]
    return end.now.data.get("n") == 1 and all(key in end.now.data for key in done)


def acknowledged_logout(end: Ending) -> bool:
    return end.reply("logout").status != 200 or logged_out(end)


def acknowledged_login(end: Ending) -> bool:
    """A login that was acknowledged holds. After one that was not, nobody is logged in, and no data is out of reach."""
    login = end.reply("login")
    if login.status == 200:
        return end.now.username == "ann"
    return nobody(end) and (login.cookie is None or end.seen_by("login").data.get("n") == 1)


def never_empty(end: Ending) -> bool:
    read = end.reply("read")
    return read.cookie is None and (read.result[1] == 1 if read.status == 200 else read.status == 503)


# The scenarios


def _two(
    name: str, promise: str, one: Request, other: Request, holds: Callable[[Ending], bool], **options: Any
) -> Scenario:
    options.setdefault("before", ANONYMOUS)
    return Scenario(name, promise, (one, other), holds, **options)


_FORM: list[str] = []
"""The token of the form that was shown before, the newest last."""

SCENARIOS: tuple[Scenario, ...] = (
    # Writers
    _two(
        "two writers, different keys",
        "Both values are there.",
        writes("a", a=1),
        writes("b", b=1),
        lambda end: end.now.data == {"n": 1, "a": 1, "b": 1},
    ),
    Scenario(
        "three writers, different keys",
        "All three values are there.",
        (writes("a", a=1), writes("b", b=1), writes("c", c=1)),
        lambda end: end.now.data == {"n": 1, "a": 1, "b": 1, "c": 1},
        before=ANONYMOUS,
    ),
    _two(
        "two writers, same key",
        "The later one's value is there, and if it had not seen the earlier one's, `overwritten` says so.",
        sets("one"),
        sets("two"),
        last_wins("a", lambda name, _saw: name),
    ),
    _two(
        "writer and reader",
        "The value is there, and the reader has written nothing.",
        writes(),
        READ,
        lambda end: end.now.data == {"n": 1, "a": 1} and end.writers == ["write"] and end.reply("read").cookie is None,
    ),
    _two(
        "write, then read",
        "A request sent after a response arrived sees what that response said was saved.",
        writes(),
        READ,
        told_is_readable,
    ),
    _two("two counters", "The count is exact.", counts("one"), counts("two"), lambda end: end.now.data == {"n": 3}),
    Scenario(
        "three counters",
        "The count is exact.",
        (counts("one"), counts("two"), counts("three")),
        lambda end: end.now.data == {"n": 4},
        before=ANONYMOUS,
    ),
    _two(
        "two appends by `modify`",
        "Both items are in the list, once.",
        appends("one"),
        appends("two"),
        lambda end: sorted(end.now.data["items"]) == ["one", "two"],
    ),
    _two(
        "two appends inside the list",
        "The later list wins whole, and if it lacks the earlier one's item, `overwritten` says so.",
        appends_inside("one"),
        appends_inside("two"),
        last_wins("items", lambda name, saw: [*saw, name]),
        before=(writes("begin", items=[]), LOOK),
    ),
    _two(
        "flash: pop and push",
        "Each message is shown once or still there.",
        request("pop", lambda session: tuple(session.pop_flash())),
        request("push", lambda session: session.flash("new")),
        popped,
        before=(request("begin", lambda session: session.flash("old")), LOOK),
    ),
    _two("delete and write", "The key is gone, the value is there.", drops("delete"), writes(), delete_and_write),
    _two(
        "delete and write, same key",
        "The later one wins, and if it had not seen the earlier one's work, `overwritten` says so.",
        drops("delete"),
        request("write", lambda session: (session.get("n"), session.update(n=9))[0]),
        last_wins("n", lambda name, _saw: 9 if name == "write" else None),
    ),
    _two("clear and write", "What was there is gone; the value stays if it was saved later.", CLEAR, writes(), cleared),
    _two(
        "late write and write",
        "What a streamed body writes after its first byte is there as well.",
        request("late", lambda session: session.get("n"), late=lambda environ: get_session(environ).update(late=1)),
        writes(),
        lambda end: end.now.data == {"n": 1, "a": 1, "late": 1},
    ),
    _two(
        "failed request and write",
        "A 5xx saves nothing; the write is there.",
        FAIL,
        writes(),
        lambda end: end.now.data == {"n": 1, "a": 1},
    ),
    # Logging out
    _two(
        "logout and write",
        "Nobody is logged in. A write sent after the logout's response has its own session, others are dropped.",
        LOG_OUT,
        writes(),
        logged_out_from_write,
        before=LOGGED_IN,
    ),
    _two("logout and read", "Nobody is logged in.", LOG_OUT, READ, logged_out, before=LOGGED_IN),
    _two(
        "logout and login",
        "The old session is over. A logout saved after the login ends that too, else the last response decides.",
        LOG_OUT,
        logs_in(who="bob"),
        logout_and_login,
        before=LOGGED_IN,
    ),
    _two("logout and renew the token", "Nobody is logged in.", LOG_OUT, RENEW_TOKEN, logged_out, before=LOGGED_IN),
    Scenario(
        "slow write, logout, login",
        "What was sent with the cookie of the session before is not in the session after.",
        (writes(), LOG_OUT, logs_in(who="bob")),
        slow_write,
        before=LOGGED_IN,
    ),
    _two(
        "end all and write",
        "No session of hers is left.",
        LOG_OUT_EVERYWHERE,
        writes(),
        lambda end: nobody(end),
        before=IN_TWO_PLACES,
    ),
    _two(
        "end all and login elsewhere",
        "No session is left from an earlier login.",
        LOG_OUT_EVERYWHERE,
        logs_in(has_own_browser=True),
        nothing_outlives_end_all,
        before=IN_TWO_PLACES,
    ),
    _two(
        "renew the token, and end all",
        "This session is over, and so are the others, unless the request came too late for that, and says so.",
        RENEW_TOKEN,
        LOG_OUT_EVERYWHERE,
        ended_everywhere_or_refused,
        before=IN_TWO_PLACES,
    ),
    _two(
        "end all, and again, and the store fails once",
        "Whichever of the two is acknowledged, no session of hers is left.",
        LOG_OUT_EVERYWHERE,
        LOG_OUT_AGAIN,
        repeated_until_done,
        before=IN_TWO_PLACES,
        failures=1,
    ),
    _two(
        "look at a disabled account, and login as bob",
        "His login holds, though it was saved in what was hers when her account was looked at.",
        SHOW_USER,
        logs_in(who="bob"),
        his_login_holds,
        before=(*LOGGED_IN, DISABLE),
    ),
    _two(
        "all of ann's ended, and login as bob",
        "His login holds, though it was saved in what was hers when they were looked for.",
        END_ALL_OF_ANN,
        logs_in(who="bob"),
        lambda end: end.now.username == "bob",
        before=LOGGED_IN,
    ),
    # Logging in
    _two(
        "login and write",
        "The browser is logged in, the old cookie is not. A write begun before and saved after is reported as dropped.",
        logs_in(),
        writes(),
        login_and_write,
        before=ACCOUNTS,
    ),
    _two(
        "login and read",
        "The browser is logged in; the read sees the login only if it was sent after it.",
        logs_in(),
        READ,
        login_and_read,
        before=ACCOUNTS,
    ),
    _two(
        "login and login (double click)",
        "The browser is logged in, with the visitor's data, and there is one session.",
        logs_in("one"),
        logs_in("two"),
        both_logins_hold,
        before=ACCOUNTS,
    ),
    _two(
        "login and login, without a session before",
        "The browser is logged in. Nothing says that the two belong together: if they overlap, there are two sessions.",
        logs_in("one"),
        logs_in("two"),
        one_session_for_each_that_overlaps,
        before=ACCOUNTS[:1],
    ),
    _two(
        "login and login, by a form",
        "The second click is let in by the same form, there is one session, and its pages' own forms are good.",
        logs_in_by_form("one", _FORM),
        logs_in_by_form("two", _FORM),
        pages_are_good,
        before=(*ANONYMOUS, request("form", lambda session: _FORM.append(session.csrf_token))),
    ),
    _two(
        "login and login, by a form of a visitor without a session",
        "The second click is let in by the same form.",
        logs_in_by_form("one", _FORM),
        logs_in_by_form("two", _FORM),
        forms_are_good,
        before=(request("form", lambda session: _FORM.append(session.csrf_token)),),
    ),
    Scenario(
        "login, login, write",
        "There is one session, logged in. A write begun before that and saved after it is reported as dropped.",
        (logs_in("one"), logs_in("two"), writes()),
        double_click_and_write,
        before=ACCOUNTS,
    ),
    Scenario(
        "login, login, logout",
        "If the logout was saved last, nobody is logged in.",
        (logs_in("one"), logs_in("two"), LOG_OUT),
        last_logout_ends_all,
        before=ACCOUNTS,
    ),
    _two(
        "login and login, and the accounts cannot be asked",
        "Nobody is logged in.",
        request("one", lambda session: session.login("ann", check=cannot_ask)),
        request("two", lambda session: session.login("ann", check=cannot_ask)),
        lambda end: nobody(end) and not any(stored.envelope.username for stored in end.sessions),
    ),
    _two(
        "login as ann, and login as bob",
        "Each response's cookie opens the session of its own user, or none.",
        logs_in("one"),
        logs_in("two", who="bob"),
        nobody_elses,
        before=ACCOUNTS,
    ),
    _two(
        "login and renew the token",
        "The login's session has the visitor's data.",
        logs_in(),
        RENEW_TOKEN,
        login_has_visitors_data,
        before=ACCOUNTS,
    ),
    _two(
        "login again and renew the token",
        "A login that overlaps a renewal does not get into the session after it.",
        logs_in(),
        RENEW_TOKEN,
        renewal_is_not_joined,
        before=LOGGED_IN,
    ),
    _two(
        "login as somebody else, and write",
        "The write is in the new user's session only if it was sent after the login's response arrived.",
        logs_in(who="bob"),
        writes(),
        strangers_data_stays_out,
        before=LOGGED_IN,
    ),
    _two(
        "login saved by hand before a 5xx, and read",
        "A token that was stored is sent: the browser is logged in.",
        Request("login", commits_login_and_fails, status="500 Internal Server Error"),
        READ,
        lambda end: end.now.username == "ann",
        before=ACCOUNTS,
    ),
    _two(
        "account disabled, and login",
        "Nobody is logged in to the account.",
        DISABLE,
        logs_in(),
        disabled,
        before=ACCOUNTS,
    ),
    _two(
        "renew the token and write",
        "The session goes on, the old cookie is dead. A write begun before and saved after is reported as dropped.",
        RENEW_TOKEN,
        writes(),
        token_renewed,
    ),
    _two(
        "renew the token twice",
        "The browser keeps its session.",
        request("one", Session.renew_token),
        request("two", Session.renew_token),
        lambda end: end.now.data == {"n": 1} and end.at_first.is_new,
    ),
    _two(
        "renew the token, and clear as a logout",
        "Nobody is logged in, though the clear may come with the cookie from before.",
        RENEW_TOKEN,
        CLEAR,
        lambda end: nobody(end),
        before=LOGGED_IN,
    ),
    _two(
        "login, saved by hand and then remembered, and read",
        "It lasts as long as it was remembered for.",
        request("login", logs_in_for_weeks),
        READ,
        in_three_weeks,
        before=ACCOUNTS,
    ),
    # Staying alive
    _two(
        "remember and write",
        "The session is remembered, and the value is there.",
        REMEMBER,
        writes(),
        lambda end: remembered(end) and kept_or_told(end),
        before=LOGGED_IN,
    ),
    _two(
        "remember and renew the token",
        "The session is remembered, or it is reported that it is not.",
        REMEMBER,
        RENEW_TOKEN,
        remembered_or_told,
        before=LOGGED_IN,
    ),
    _two("touch and write", "Both hold.", LOOK, writes(), kept_or_told, wait=2 * HOUR),
    _two("touch and remember", "It is remembered.", LOOK, REMEMBER, remembered, before=LOGGED_IN, wait=2 * HOUR),
    _two(
        "touch and login",
        "A touch that was decided before a login does not lengthen the session after it.",
        LOOK,
        logs_in(),
        lambda end: end.now.username == "ann",
        before=ACCOUNTS,
        wait=2 * HOUR,
    ),
    _two("touch and renew the token", "The session goes on.", LOOK, RENEW_TOKEN, touched, wait=2 * HOUR),
    _two("touch and logout", "Nobody is logged in.", LOOK, LOG_OUT, logged_out, before=LOGGED_IN, wait=2 * HOUR),
    _two(
        "touch and touch",
        "The session goes on.",
        LOOK,
        request("too", lambda session: len(session)),
        touched,
        wait=2 * HOUR,
    ),
    _two(
        "slide and login",
        "A slide that loses to the login sends no cookie, and the login holds.",
        READ,
        logs_in(),
        slid,
        before=SLIDING,
        wait=2 * HOUR,
    ),
    _two(
        "slide and logout",
        "Nobody is logged in.",
        READ,
        LOG_OUT,
        lambda end: nobody(end),
        before=LOGGED_IN_SLIDING,
        wait=2 * HOUR,
    ),
    _two(
        "passive read and touch",
        "The passive request changes nothing.",
        request("passive", lambda session: len(session), environ=PASSIVE),
        LOOK,
        lambda end: end.writers in (["read"], []) and end.now.data == {"n": 1},
        wait=2 * HOUR,
    ),
    _two(
        "passive write and re-seal",
        "The value is there, under the new secret, and the session ends when it would have ended.",
        writes("write", environ=PASSIVE),
        request("passive", lambda session: len(session), environ=PASSIVE),
        lambda end: end.now.data == {"n": 1, "a": 1} and prolongs_nothing(end),
        wait=2 * HOUR,
        is_rotated=True,
    ),
    _two(
        "write and logout, and the session expires",
        "A session that was over by its time stays over; what was begun before that is dropped and reported.",
        writes(),
        LOG_OUT,
        expired_stays_expired,
        before=LOGGED_IN,
        passes=13 * HOUR,
    ),
    _two(
        "write and read, and the session expires",
        "The same.",
        writes(),
        READ,
        expired_stays_expired,
        passes=15 * DAY,
    ),
    _two(
        "writers with a cookie long gone",
        "The old id is not used again.",
        writes("x", x=1),
        writes("y", y=1),
        fresh_ids,
        wait=15 * DAY,
    ),
    _two(
        "two first visits",
        "Each value is in the session that its response gave; the browser keeps the one that arrives last.",
        writes("x", x=1),
        writes("y", y=1),
        fresh_ids,
        before=(),
    ),
    # Other origins
    *(
        _two(
            f"another origin {does}, and {own.name}",
            "The attack sees nothing, changes nothing and gets no cookie.",
            from_afar(act),
            own,
            unharmed,
            before=LOGGED_IN if own is LOG_OUT else ACCOUNTS,
        )
        for does, act in (
            ("writes", afar_writes),
            ("logs in", afar_logs_in),
            ("logs out", Session.invalidate),
            ("renews the token", Session.renew_token),
        )
        for own in (writes(), READ, logs_in(), LOG_OUT)
    ),
    _two(
        "a partner's form without the cookie, and write",
        "The browser keeps its session.",
        request("partner", lambda session: session.update(p=1), environ=OF_PARTNER, is_without_cookie=True),
        writes(),
        lambda end: end.now.data == {"n": 1, "a": 1},
    ),
    # Outages, at every call
    _two(
        "two writers, and the store fails once",
        "What was acknowledged is there.",
        writes("write", a=1),
        writes("other", b=1),
        acknowledged_is_there,
        failures=1,
    ),
    _two(
        "writer and reader, and the store fails once",
        "The reader gets the session or a 503, never an empty session and never a cookie.",
        writes(),
        READ,
        lambda end: never_empty(end) and acknowledged_is_there(end),
        failures=1,
    ),
    _two(
        "logout and write, and the store fails once",
        "A logout that was acknowledged holds.",
        LOG_OUT,
        writes(),
        lambda end: end.came_after("write", "logout") or acknowledged_logout(end),
        before=LOGGED_IN,
        failures=1,
    ),
    _two(
        "late write and write, and the store fails once",
        "What a streamed body writes after its first byte is there, or reported as dropped.",
        request("late", lambda session: session.get("n"), late=lambda environ: get_session(environ).update(late=1)),
        writes(),
        late_write_is_kept_or_told,
        failures=1,
    ),
    _two(
        "login and write, and the store fails once",
        "A login that was acknowledged holds; one that was not leaves the old cookie logged out.",
        logs_in(),
        writes(),
        acknowledged_login,
        before=ACCOUNTS,
        failures=1,
    ),
    _two(
        "login and login, and the store fails once",
        "A login that was acknowledged has a session.",
        logs_in("one"),
        logs_in("two"),
        acknowledged_logins,
        before=ACCOUNTS,
        failures=1,
    ),
    _two(
        "account disabled, and login, and the store fails once",
        "Nobody is logged in to the account.",
        DISABLE,
        logs_in(),
        disabled,
        before=ACCOUNTS,
        failures=1,
    ),
    _two(
        "touch and write, and the store fails once",
        "A touch that fails does not keep the session from the reader.",
        READ,
        writes(),
        lambda end: never_empty(end) and acknowledged_is_there(end),
        wait=2 * HOUR,
        failures=1,
    ),
)
"""Everything that sessionware promises about requests that overlap."""
