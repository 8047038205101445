"""What the requests of scenarios do, and what there was before them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..._request import get_session
from ...auth.users.base import User
from ...errors import StoreUnavailable
from ...session import Session
from ..interleaving.site import PARTNER, Request, auth_of, users_of

HOUR = 3600
DAY = 24 * HOUR


def request(name: str, act: Callable[[Session], object], **options: Any) -> Request:
    return Request(name, lambda environ: act(get_session(environ)), **options)


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
END_ALL_OF_ANN = Request("end all of ann's", lambda environ: ends_all_of_anns(environ), browser="administrator")
LOG_OUT_AGAIN = Request("again", LOG_OUT_EVERYWHERE.view)
SHOW_USER = Request("who", lambda environ: auth_of(environ).user(environ) is not None)
DISABLE = Request("disable", lambda environ: users_of(environ).set_active("ann", False), browser="administrator")
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
IN_TWO_PLACES = (*LOGGED_IN, logs_in("elsewhere", browser="elsewhere"))
SLIDING = (*ACCOUNTS, request("slide", slides))
LOGGED_IN_SLIDING = (*LOGGED_IN, request("slide", slides))
