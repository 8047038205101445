"""Changes of an account beside logins to it and beside requests of its sessions.

Whoever typed the password or was logged in before the change must be out after it, whatever the order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..._core.envelope import Stored
from ..._request import get_session
from ...auth.auth import Auth
from ...auth.users.base import User
from ...errors import AuthError
from ...manager import SessionManager
from ..interleaving.ending import Ending
from ..interleaving.engine import Scenario
from ..interleaving.hasher import PlainHasher
from ..interleaving.site import Request, auth_of, users_of
from .requests import ANONYMOUS, LOG_OUT, LOG_OUT_EVERYWHERE, LOOK, RENEW_TOKEN, logs_in, writes

MINUTE = 60

OLD, NEW = "seven quiet lanterns drift", "a wholly different pass phrase"

_TOKEN: list[str] = []
"""The link's token that was made before, the newest last."""


def opens_account(environ: dict[str, Any]) -> None:
    users_of(environ).put(User(id="ann", key="ann", username="ann", password_hash=PlainHasher().hash(OLD)))


def owner(name: str, act: Callable[[Auth, dict[str, Any]], object]) -> Request:
    """What ann does in her browser. Returns why it was refused, if it was."""

    def view(environ: dict[str, Any]) -> str:
        try:
            act(auth_of(environ), environ)
        except AuthError as error:
            return error.reason
        return ""

    return Request(name, view)


def administrator(name: str, act: Callable[[Auth, SessionManager], object]) -> Request:
    """What somebody does for whom the site has no session, in a shell."""
    return Request(
        name, lambda environ: bool(act(auth_of(environ), get_session(environ).manager)), browser="administrator"
    )


def types_the_password(name: str = "ann", typed: str = OLD, **options: Any) -> Request:
    """Logs in with the password. Returns why it was refused, if it was."""
    return Request("login", owner("login", lambda auth, environ: auth.login(environ, name, typed)).view, **options)


CHANGE = owner("change", lambda auth, environ: auth.change_password(environ, OLD, NEW))
CONFIRM = owner("confirm", lambda auth, environ: auth.confirm(environ, OLD))
CONFIRM_TOO = owner("confirm too", lambda auth, environ: auth.confirm(environ, OLD))
RENAME_HERSELF = owner("rename", lambda auth, environ: auth.rename(environ, "ann", "anne"))
DELETE = owner("delete", lambda auth, environ: auth.delete_account(environ, OLD))

END_ALL = administrator("end all", lambda auth, manager: auth.end_all(manager, "ann"))

ACTS = (
    CHANGE,
    administrator("reset", lambda auth, manager: auth.reset_password(manager, _TOKEN[-1], NEW)),
    administrator("rename", lambda auth, manager: auth.rename(manager, "ann", "anne")),
    administrator("disable", lambda auth, manager: auth.set_active(manager, "ann", False)),
    administrator("erase", lambda auth, manager: auth.erase(manager, "ann")),
    DELETE,
    END_ALL,
)
"""Each of them makes the account refuse the sessions and the logins from before."""

ACCOUNT = (Request("account", opens_account), *ANONYMOUS)
OWNER = (*ACCOUNT, logs_in(), LOOK)
WITH_LINK = (
    *OWNER,
    Request("link", lambda environ: _TOKEN.append(str(auth_of(environ).reset_token(environ, "ann")))),
)

# What must hold in the end


def only_current_ones_are_left(end: Ending) -> bool:
    """Every session of hers is one that her account accepts."""
    users = {user.id: user for user in end.world.users}
    hers = [stored.envelope for stored in _hers(end)]
    return all(
        envelope.user_id in users
        and users[envelope.user_id].is_active
        and envelope.session_version == users[envelope.user_id].session_version
        for envelope in hers
    )


def old_password_is_out(act: str) -> Callable[[Ending], bool]:
    """The act was done, and whoever typed the old password, or name, is not logged in."""

    def holds(end: Ending) -> bool:
        is_done = end.reply(act).result in ("", True)
        return is_done and only_current_ones_are_left(end) and end.seen_by("login").username is None

    return holds


def goes_on_or_is_told(end: Ending) -> bool:
    """Whoever changed the password is logged in, or it is reported that another request was faster."""
    is_lost = end.told("change", "session.write_discarded") or end.reply("change").result != ""
    return only_current_ones_are_left(end) and (is_lost or end.seen_by("change").username == "ann")


def nobody_is_logged_in(end: Ending) -> bool:
    """Nothing brings back what the logout ended."""
    return not any(seen.username for seen in end.everywhere)


def one_session_is_left(end: Ending) -> bool:
    """The browser is logged in to it."""
    return one_is_left(end) and end.now.username == "ann"


def one_is_left(end: Ending) -> bool:
    """Whoever it is of: there is one, and the account accepts it."""
    return len(_hers(end)) == 1 and only_current_ones_are_left(end)


def confirmation_is_no_login(end: Ending) -> bool:
    """One that lost is told, sets no cookie, and has no session of its own."""
    is_lost = end.told("confirm", "session.write_discarded")
    is_in_turn = end.came_after("confirm", "login") or end.came_after("login", "confirm")
    most = 1 if is_lost or is_in_turn else 2  # a login that overlaps a renewal has a session of its own
    return end.now.username == "ann" and len(_hers(end)) <= most and not (is_lost and end.reply("confirm").cookie)


def _hers(end: Ending) -> list[Stored]:
    return [stored for stored in end.sessions if stored.envelope.user_id == "ann"]


def _scenario(
    name: str, promise: str, requests: tuple[Request, ...], holds: Callable[[Ending], bool], **options: Any
) -> Scenario:
    options.setdefault("before", OWNER)
    options.setdefault("wait", 10 * MINUTE)
    return Scenario(name, promise, requests, holds, **options)


OF_ACCOUNTS: tuple[Scenario, ...] = (
    *(
        _scenario(
            f"account: {act.name}, and login by the old password",
            "Whoever typed it is out.",
            (act, types_the_password(browser="another")),
            old_password_is_out(act.name) if act is not END_ALL else only_current_ones_are_left,
            before=WITH_LINK,
        )
        for act in ACTS
    ),
    _scenario(
        "account: change the password, and write",
        "She goes on, or it is reported that her browser has to log in again.",
        (CHANGE, writes()),
        goes_on_or_is_told,
    ),
    _scenario(
        "account: change the password, and logout",
        "Nobody is logged in.",
        (CHANGE, LOG_OUT),
        nobody_is_logged_in,
    ),
    _scenario(
        "account: change the password, and login again",
        "No session is left that the account refuses.",
        (CHANGE, types_the_password()),
        only_current_ones_are_left,
    ),
    _scenario(
        "account: change the password, and renew the token",
        "No session is left that the account refuses.",
        (CHANGE, RENEW_TOKEN),
        only_current_ones_are_left,
    ),
    _scenario(
        "account: change the password, and confirm",
        "No session is left that the account refuses.",
        (CHANGE, CONFIRM),
        only_current_ones_are_left,
    ),
    _scenario(
        "account: change the password, and end all",
        "No session is left that the account refuses.",
        (CHANGE, LOG_OUT_EVERYWHERE),
        only_current_ones_are_left,
    ),
    _scenario(
        "account: change the name, and login by the old one",
        "No session is left that the account refuses.",
        (RENAME_HERSELF, types_the_password(browser="another")),
        only_current_ones_are_left,
    ),
    _scenario(
        "account: confirm and confirm",
        "There is one session, and the browser is logged in to it.",
        (CONFIRM, CONFIRM_TOO),
        one_session_is_left,
    ),
    _scenario(
        "account: confirm and renew the token",
        "The same.",
        (CONFIRM, RENEW_TOKEN),
        one_session_is_left,
    ),
    _scenario(
        "account: confirm and login again",
        "The browser is logged in. A confirmation that loses is told, and gets neither a cookie nor a session.",
        (CONFIRM, types_the_password()),
        confirmation_is_no_login,
    ),
    _scenario(
        "account: confirm and logout",
        "Nobody is logged in.",
        (CONFIRM, LOG_OUT),
        nobody_is_logged_in,
    ),
    *(
        _scenario(
            f"account: change the {what}, and login by the new one, {limit}",
            "One session is left: the one that is renewed counts as a login does.",
            (act, typed),
            one_is_left,
            session_limit=1,
            when_full=when_full,
        )
        for what, act, typed in (
            ("password", CHANGE, types_the_password(typed=NEW, browser="another")),
            ("name", RENAME_HERSELF, types_the_password(name="anne", browser="another")),
        )
        for limit, when_full in (("limit 1", "end_oldest"), ("limit 1, refusing", "refuse"))
    ),
)
