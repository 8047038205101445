"""How long sessions live, reckoned anew from what the documents say, and from who used them when."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ..interleaving.ending import Ending, Save
from .identity import by
from .judging import Breach, Invariant


class Life(NamedTuple):
    """What a session may have from one moment on, in seconds since the epoch."""

    idle_end: int
    """When it ends if nobody uses it."""
    deadline: int
    """When it ends all the same."""


def nothing_outlives_its_limits(end: Ending) -> Iterator[Breach]:
    for save in end.saves:
        if save.after is None or end.envelope(save.after) is None:
            continue
        served, life = by(end, save), _life(end, save, _last_answer(end, save))
        if life is not None and save.after.expires_at > min(life):
            yield Breach(f"{served.name} lets a session live for too long", served, save.id.hex())


def whoever_comes_in_time_has_it_longer(end: Ending) -> Iterator[Breach]:
    for save in end.saves:
        served = by(end, save)
        if end.envelope(save.after) is None or served.did("is passive") or save.after is None:
            continue
        life = _life(end, save, end.site.began + served.run.times[0])
        if life is not None and save.after.expires_at < min(life):
            yield Breach(f"{served.name} uses a session, which ends too soon", served, save.id.hex())


def nothing_is_saved_after_its_end(end: Ending) -> Iterator[Breach]:
    """At the first try. A save that has to try again goes by the clock at its beginning, for two seconds at most."""
    for save in end.saves:
        tries = [call.arguments[0] for call, _ in by(end, save).calls if call.name == "replace"]
        is_lost = save.before is not None and save.before.expires_at <= save.asked_at and save.after in tries[:1]
        if is_lost and end.envelope(save.before) is not None and end.envelope(save.after) is not None:
            yield Breach(f"{by(end, save).name} saves what has expired", by(end, save), save.id.hex())


def what_has_expired_is_over(end: Ending) -> Iterator[Breach]:
    for served in end.served:
        for deed in served.progress.deeds:
            if deed.session_id is not None and not _lives(end, bytes.fromhex(deed.session_id), served.sent_at, deed.at):
                yield Breach(f"{served.name} sees a session that had expired", served)
    for seen in end.everywhere:
        if seen.id is not None and not _lives(end, bytes.fromhex(seen.id), len(end.trace), end.site.time):
            yield Breach("a cookie opens a session that has expired")


def _lives(end: Ending, id: bytes, at: int, time: int) -> bool:
    """Whether somebody used the session so lately that it may be there."""
    saves = [save for save in end.saves if save.id == id]
    uses = [end.time_at(save.at) for save in saves if save.at < at] or [end.began_at]
    is_remembered = any(by(end, save).did("remembers") for save in saves)
    is_somebodys = any(_user(end, save) for save in saves) or any(
        record.id == id and record.owner is not None for record in end.before.world.records
    )
    idle = end.site.limits.idle if is_somebodys else end.site.limits.anonymous
    return is_remembered or end.site.began + time < max(uses) + idle or any(save.at >= at for save in saves)


def _user(end: Ending, save: Save) -> str | None:
    envelope = end.envelope(save.after)
    return None if envelope is None else envelope.user_id


def _last_answer(end: Ending, save: Save) -> int:
    return end.site.began + max(by(end, save).run.times)


def _life(end: Ending, save: Save, used_at: int) -> Life | None:
    """What a session has that is used at this moment; None if it was granted limits of its own."""
    limits, saves = end.site.limits, [each for each in end.saves if each.id == save.id and each.at <= save.at]
    if any(by(end, each).did(word) for each in saves for word in ("remembers", "limits")):
        return None
    if _user(end, save) is not None:
        logins = [each for each in saves if by(end, each).did("tries to log in") or by(end, each).did("proves")]
        logins += [each for each in saves if by(end, each).did("logs in")]
        began = max((_last_answer(end, each) for each in logins), default=end.began_at)
        return Life(used_at + limits.idle, began + limits.lifetime)
    created_at = end.began_at if saves[0].before is not None else used_at
    if saves[0].before is None and by(end, saves[0]) is by(end, save):  # its cookie has not come back yet
        return Life(created_at + limits.unconfirmed, created_at + limits.anonymous_lifetime)
    return Life(used_at + limits.anonymous, created_at + limits.anonymous_lifetime)


UPPER = Invariant("No session lives longer than its idle limit and its deadline allow.", nothing_outlives_its_limits)
LOWER = Invariant(
    "Whoever uses a session in time has it for as long as was granted.", whoever_comes_in_time_has_it_longer
)
EXPIRED = Invariant("A session that has expired never answers again.", what_has_expired_is_over)

LOST = Invariant(
    "What has expired by the time of saving is not saved.", nothing_is_saved_after_its_end, needs_words=False
)

OF_TIME = (UPPER, LOWER, EXPIRED, LOST)
