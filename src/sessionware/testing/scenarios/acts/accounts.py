"""Acts of people on their accounts, and of administrators on other people's. All of them are about ann's account."""

from __future__ import annotations

from typing import Any

from ....errors import AuthError
from ....timeouts import Timeouts
from ...interleaving.visit import Visit
from .act import NEW, OLD, WRONG, Act, Doing


def unless_refused(does: Doing) -> Doing:
    """An act of `Auth`, which may say no."""

    def act(visit: Visit) -> None:
        try:
            does(visit)
        except AuthError as error:
            visit.says("is refused", error.reason)

    return act


# Logging in ----------------------------------------------------------------------------------------------------------


def password_login(password: str = OLD, name: str = "ann", remember: bool = False) -> Doing:
    def act(visit: Visit) -> None:
        visit.says("types", password)
        visit.says("tries to log in")
        if remember:
            visit.says("remembers")
        user = visit.auth.login(visit.environ, name, password, remember=remember)
        visit.says("logs in", user.id, "by password")

    return unless_refused(act)


def login_by(who: str, **options: Any) -> Doing:
    """A login without a password, as after a sign-in elsewhere."""

    def act(visit: Visit) -> None:
        user = visit.users.get(who)
        if user is None or not user.is_active:
            return
        visit.says("tries to log in")
        visit.auth.login_user(visit.environ, user, **options)
        visit.says("logs in", user.id, str(options))

    return unless_refused(act)


def login_with_limits(visit: Visit) -> None:
    user = visit.users.get("ann")
    if user is not None:
        version = user.session_version
        visit.says("by hand")
        visit.session.login(user.username, user_id="ann", session_version=version, timeouts=Timeouts(idle=600))
        visit.says("limits")
        visit.says("logs in", user.id, "for ten minutes")


@unless_refused
def registers(visit: Visit) -> None:
    visit.says("tries to log in")
    user = visit.auth.register(visit.environ, "cleo", OLD)
    visit.says("logs in", user.id)


def asks_who(visit: Visit) -> None:
    """Ends the session of an account that may not log in any more."""
    visit.says("ends")
    user = visit.auth.user(visit.environ)
    visit.says("asks who", "" if user is None else user.id)


# Ending sessions -----------------------------------------------------------------------------------------------------


@unless_refused
def logs_out_everywhere(visit: Visit) -> None:
    visit.says("ends")
    visit.says("logs out")
    who = visit.session.user_id or ""
    visit.auth.logout(visit.environ, everywhere=True)
    visit.says("shuts out", who)


@unless_refused
def ends_others(visit: Visit) -> None:
    visit.says("ends")
    visit.auth.end_other_sessions(visit.environ)


@unless_refused
def ends_one(visit: Visit) -> None:
    visit.says("ends")
    others = [info for info in visit.auth.sessions(visit.environ) if not info.is_current]
    for info in others[:1]:
        visit.auth.end_session(visit.environ, info.id)


@unless_refused
def changes_password(visit: Visit) -> None:
    visit.says("ends")
    visit.says("proves")
    who = visit.session.user_id or ""
    visit.auth.change_password(visit.environ, OLD, NEW)
    visit.says("changes password")
    visit.says("renews")
    visit.says("shuts out others", who)


@unless_refused
def renames_herself(visit: Visit) -> None:
    visit.says("ends")
    visit.says("proves")
    had_it = visit.session.username == "anne"
    if visit.session.user_id == "ann" and visit.auth.rename(visit.environ, "ann", "anne") and not had_it:
        visit.says("renews")
        visit.says("shuts out others", "ann")


@unless_refused
def confirms(visit: Visit) -> None:
    visit.says("proves")
    visit.auth.confirm(visit.environ, OLD)
    visit.says("renews")


@unless_refused
def deletes_account(visit: Visit) -> None:
    visit.says("ends")
    who = visit.session.user_id or ""
    visit.auth.delete_account(visit.environ, OLD)
    visit.says("shuts out", who)


# What administrators do -----------------------------------------------------------------------------------------------


@unless_refused
def resets_password(visit: Visit) -> None:
    visit.says("ends", "ann")
    manager = visit.session.manager
    token = visit.auth.reset_token(manager, "ann")
    if token is not None:
        visit.auth.reset_password(manager, token, NEW)
        visit.says("changes password")
        visit.says("shuts out", "ann")


def disables(visit: Visit) -> None:
    visit.says("ends", "ann")
    if visit.auth.set_active(visit.session.manager, "ann", False):
        visit.says("shuts out", "ann")


def erases(visit: Visit) -> None:
    visit.says("ends", "ann")
    if visit.auth.erase(visit.session.manager, "ann"):
        visit.says("shuts out", "ann")


def ends_all(visit: Visit) -> None:
    visit.says("ends", "ann")
    visit.auth.end_all(visit.session.manager, "ann")
    visit.says("shuts out", "ann")


def ends_by_id(visit: Visit) -> None:
    visit.says("ends")
    for info in visit.session.manager.of(user_id="ann")[:1]:
        visit.session.manager.end(info.id)


OF_ACCOUNTS = (
    Act("login", login_by("ann")),
    Act("login as bob", login_by("bob")),
    Act("login by key", login_by("ann", methods=("passkey",))),
    Act("login, short", login_with_limits),
    Act("password login", password_login()),
    Act("password login, kept", password_login(remember=True)),
    Act("wrong password", password_login(WRONG)),
    Act("register", registers),
    Act("who", asks_who),
    Act("logout everywhere", logs_out_everywhere),
    Act("end others", ends_others),
    Act("end one", ends_one),
    Act("change password", changes_password),
    Act("rename", renames_herself),
    Act("confirm", confirms),
    Act("delete account", deletes_account),
    Act("reset password", resets_password),
    Act("disable", disables),
    Act("erase", erases),
    Act("end all", ends_all),
    Act("end by id", ends_by_id),
)
