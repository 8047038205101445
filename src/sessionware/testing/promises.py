"""What has to be true in the end, in whatever order requests overlapped: the promises of the scenarios."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .ending import Ending


def last_wins(key: str, value_of: Callable[[str, Any], Any]) -> Callable[[Ending], bool]:
    """The later writer's value is there, and if it did not see the earlier one's, `overwritten` says so."""

    def holds(end: Ending) -> bool:
        if len(end.writers) < 2:
            return False
        earlier, later = end.writers
        saw = end.reply(later).result
        replaced_unseen = saw != value_of(earlier, end.reply(earlier).result)
        is_there = bool(end.now.data.get(key) == value_of(later, saw))
        return is_there and end.told(later, "overwritten") == replaced_unseen

    return holds


def popped(end: Ending) -> bool:
    shown, left = end.reply("pop").result, end.now.data.get("_flash_", [])
    return [*shown, *(message for _, message in left)] == ["old", "new"]


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
    """The write is not there if it was begun before this turn and saved after it."""
    if "a" not in end.now.data or end.came_after("write", turn):
        return True
    return end.writers.index("write") < end.writers.index(turn)


def login_and_read(end: Ending) -> bool:
    who = end.reply("read").result[0]
    return end.now.username == "ann" and fenced(end) and (who is None or end.came_after("read", "login"))


def both_logins_hold(end: Ending) -> bool:
    return end.now.username == "ann" and end.now.data == {"n": 1} and end.is_done("one") and end.is_done("two")


def strangers_data_stays_out(end: Ending) -> bool:
    is_his_own = end.came_after("write", "login")
    return end.now.username == "bob" and end.now.data == ({"a": 1} if is_his_own else {})


def regenerated(end: Ending) -> bool:
    return end.at_first.is_new and kept_or_told(end) and in_time(end, "regenerate")


def slow_write(end: Ending) -> bool:
    """What was sent with the cookie of the session before is not in the session after."""
    is_of_after = end.came_after("write", "logout") or end.came_after("write", "login")
    return end.now.username in (None, "bob") and ("a" not in end.now.data or is_of_after)


def nothing_outlives_end_all(end: Ending) -> bool:
    """Every session of hers was logged in to by her account's present version."""
    versions = {user.id: user.version for user in end.world.users}
    envelopes = [stored.envelope for stored in end.sessions if stored.record.owner is not None]
    return all(envelope.user_version == versions.get(envelope.user_id or "") for envelope in envelopes)


def disabled(end: Ending) -> bool:
    """Unless the disabling itself failed. A bare `session.username` may go on if the login was looked at before it."""
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
    """A login that was acknowledged holds; one that was not gave no cookie, unless it was stored."""
    login = end.reply("login")
    return end.now.username == "ann" if login.status == 200 or login.cookie else not end.at_first.username


def never_empty(end: Ending) -> bool:
    read = end.reply("read")
    return read.cookie is None and (read.result[1] == 1 if read.status == 200 else read.status == 503)
