"""What must hold in the end of scenarios, whatever the order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..._request import get_session
from ..interleaving.ending import Ending
from .requests import DAY


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
    is_used_again = {record.id for record in end.before.world.records} & {stored.record.id for stored in end.sessions}
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
