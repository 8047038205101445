"""Acts on who it is and how long: logins, logouts, renewals, remembering."""

from __future__ import annotations

from ...interleaving.visit import Visit
from .act import DAY, Act
from .data import FAILS, sets


def logs_out(visit: Visit) -> None:
    visit.says("ends")
    visit.says("logs out")
    visit.auth.logout(visit.environ)


def invalidates(visit: Visit) -> None:
    visit.says("ends")
    visit.says("logs out")
    visit.session.invalidate()


def renews(visit: Visit) -> None:
    visit.says("renews")
    visit.session.renew_token()


def remembers(visit: Visit) -> None:
    visit.says("remembers")
    visit.session.remember(20 * DAY)


def slides(visit: Visit) -> None:
    visit.says("remembers")
    visit.session.remember(20 * DAY, sliding=True)


def forgets(visit: Visit) -> None:
    visit.says("remembers")
    visit.says("forgets")
    visit.session.remember(None)


def logs_in_and_renews(visit: Visit) -> None:
    visit.says("by hand")
    visit.session.login("ann", user_id="ann", session_version=1)
    visit.says("renews")
    visit.session.renew_token()
    visit.says("logs in", "ann", "with a new token")


def logs_in_by_hand(visit: Visit) -> None:
    visit.says("by hand")
    visit.session.login("ann", user_id="ann", session_version=1)
    visit.session.commit()
    visit.says("logs in", "ann")
    visit.says("saves by hand")


def logs_in_and_out(visit: Visit) -> None:
    visit.says("by hand")
    visit.session.login("ann", user_id="ann", session_version=1)
    visit.says("logs in", "ann")
    visit.says("ends")
    visit.session.username = None


def writes_and_logs_in_as_bob(visit: Visit) -> None:
    sets(visit)
    visit.says("by hand")
    visit.session.login("bob", user_id="bob", session_version=1)
    visit.says("logs in", "bob")
    if visit.session.get("a") is not None:
        visit.sees()


def ends_and_begins(visit: Visit) -> None:
    visit.says("ends")
    visit.says("logs out")
    visit.session.invalidate()
    sets(visit)


OF_IDENTITY = (
    Act("login and renew", logs_in_and_renews),
    Act("login and out", logs_in_and_out),
    Act("login, commit, 5xx", logs_in_by_hand, status=FAILS),
    Act("set, login as bob", writes_and_logs_in_as_bob),
    Act("logout", logs_out),
    Act("invalidate", invalidates),
    Act("invalidate, set", ends_and_begins),
    Act("renew", renews),
    Act("remember", remembers),
    Act("slide", slides),
    Act("forget", forgets),
)
