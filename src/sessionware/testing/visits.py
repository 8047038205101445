"""What requests do in the scenarios: they write, count, log in and out, attack, come back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..auth.users import User
from ..session import Session, get_session
from .site import Request, auth_of, users_of

HOUR = 3600
DAY = 24 * HOUR


def request(name: str, act: Callable[[Session], object], **options: Any) -> Request:
    return Request(name, lambda environ: act(get_session(environ)), **options)


# What requests do


def writes(name: str = "write", **values: Any) -> Request:
    return request(name, lambda session: session.update(values or {"a": 1}))


def counts(name: str) -> Request:
    return request(name, lambda session: session.modify("n", lambda n: n + 1))


def appends(name: str) -> Request:
    return request(name, lambda session: session.modify("items", lambda items: [*items, name], default=[]))


def appends_inside(name: str) -> Request:
    """Tells what it saw."""

    def act(session: Session) -> list[str]:
        seen = list(session["items"])
        session["items"].append(name)
        return seen

    return request(name, act)


def sets(name: str) -> Request:
    """Tells what it saw."""

    def act(session: Session) -> object:
        seen = session.get("a")
        session["a"] = name
        return seen

    return request(name, act)


def drops(name: str) -> Request:
    """Tells what it saw."""
    return request(name, lambda session: session.pop("n", None))


def logs_in(name: str = "login", who: str = "ann", **options: Any) -> Request:
    def view(environ: dict[str, Any]) -> bool:
        user = users_of(environ).get(who)
        if user.is_active:
            auth_of(environ).start(environ, user)
        return bool(user.is_active)

    return Request(name, view, **options)


def commits_login_and_fails(environ: dict[str, Any]) -> None:
    session = get_session(environ)
    session.log_in("ann")
    session.commit()


def opens_accounts(environ: dict[str, Any]) -> None:
    for name in ("ann", "bob"):
        users_of(environ).put(User(id=name, key=name, username=name, password_hash=None))


READ = request("read", lambda session: (session.username, session.get("n"), session.get("a")))
LOOK = request("read", lambda session: len(session))
LOG_OUT = request("logout", Session.invalidate)
REGENERATE = request("regenerate", Session.regenerate_id)
REMEMBER = request("remember", lambda session: session.remember(20 * DAY))
CLEAR = request("clear", Session.clear)
LOG_OUT_EVERYWHERE = Request("end all", lambda environ: auth_of(environ).logout(environ, everywhere=True))
DISABLE = Request("disable", lambda environ: users_of(environ).set_active("ann", False), has_own_browser=True)
FAIL = request("fail", lambda session: session.update(f=1), status="500 Internal Server Error")

CROSS_SITE = {"HTTP_SEC_FETCH_SITE": "cross-site"}


def from_afar(act: Callable[[Session], object]) -> Request:
    """Tells whether it saw the browser's session."""

    def attack(session: Session) -> bool:
        act(session)
        return not session.is_new or bool(session.username)

    return request("attack", attack, environ=CROSS_SITE)


def afar_logs_in(session: Session) -> None:
    session.username = "mallory"


def afar_writes(session: Session) -> None:
    session["x"] = 1


# What was there before

ANONYMOUS = (writes("begin", n=1), LOOK)
"""A visitor's session, whose cookie has come back once."""
ACCOUNTS = (Request("accounts", opens_accounts), *ANONYMOUS)
LOGGED_IN = (*ACCOUNTS, logs_in())
IN_TWO_PLACES = (*LOGGED_IN, logs_in("elsewhere", has_own_browser=True))
