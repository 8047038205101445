"""No lost writes: what is stored, what stays, and what is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..._core.envelope import Envelope
from ...stores.base import Record
from ..interleaving.ending import Ending, Served
from ..interleaving.site import Deed
from ..interleaving.visit import NOBODY, Mark, mark_of, marks_in
from .identity import by, fits, tried_to_log_in
from .judging import Breach, Invariant

WRITES = ("sets", "adds")


def acknowledged_writes_are_stored(end: Ending) -> Iterator[Breach]:
    for served in end.served:
        if not served.is_served:
            continue
        for number, deed in enumerate(served.progress.deeds):
            if deed.what not in WRITES or _is_undone(served.progress.deeds[number + 1 :], deed):
                continue
            mark = mark_of(deed.value)
            is_stored = any(mark in marks_of(end.envelope(save.after), deed.about) for save in served.saves)
            if not is_stored and deed.about not in served.keys_told("session.write_discarded"):
                yield Breach(f"{served.name}: {deed.about} is neither stored nor told", served, deed.about)


def _is_undone(later: Iterable[Deed], deed: Deed) -> bool:
    """Whether the same request took it back."""
    return any(
        each.what in ("clears", "ends")
        or (each.what in ("sets", "drops") and each.about == deed.about)
        or (each.what == "logs in" and deed.user_id not in (None, each.about))
        for each in later
    )


def only_who_says_so_removes(end: Ending) -> Iterator[Breach]:
    for save in end.saves:
        before, after = end.envelope(save.before), end.envelope(save.after)
        served = by(end, save)
        if before is None or after is None:
            continue
        for key, mark in lost(before, after):
            if not _may_remove(served, key, mark, before, after):
                yield Breach(f"{served.name} removes {mark.request}'s {key}", served, key)


def _may_remove(served: Served, key: str, mark: Mark, before: Envelope, after: Envelope) -> bool:
    if mark.request == served.name:
        return True  # what it has written itself, and takes back with a login that does not hold
    is_others = before.user_id not in (None, after.user_id)
    removes = any(
        deed.what == "clears" or (deed.what in ("sets", "drops") and deed.about == key)
        for deed in served.progress.deeds
    )
    return removes or (is_others and tried_to_log_in(served))


def lost(before: Envelope, after: Envelope) -> Iterator[tuple[str, Mark]]:
    """What a write removed."""
    for key, value in before.data.items():
        stays = after.data.get(key)
        if stays != value:
            yield from ((key, mark) for mark in Counter(marks_in(value)) - Counter(marks_in(stays)))


def what_is_overwritten_unseen_is_told(end: Ending) -> Iterator[Breach]:
    for served in end.served:
        unseen = set(_overwritten_unseen(end, served))
        told = served.keys_told("session.overwritten")
        for key in unseen - told if not served.is_dead else ():
            yield Breach(f"{served.name} overwrites {key}, which it had not seen, in silence", served, key)


def nothing_else_is_told_as_overwritten(end: Ending) -> Iterator[Breach]:
    for served in end.served:
        for key in served.keys_told("session.overwritten") - {key for key, _ in _replaced_unseen(end, served)}:
            yield Breach(f"{served.name} says that it overwrote {key}, but it did not", served, key)


def _overwritten_unseen(end: Ending, served: Served) -> Iterator[str]:
    return (key for key, is_lost in _replaced_unseen(end, served) if is_lost)


def _replaced_unseen(end: Ending, served: Served) -> Iterator[tuple[str, bool]]:
    """The keys that it changed after somebody else had, since it looked; and whether something written is gone."""
    base: Mapping[str, Any] = {}
    for record in loaded(served):
        envelope = end.envelope(record)
        base = envelope.data if envelope is not None and fits(end, served.cookie, envelope) else {}
        break
    for save in served.saves:
        before, after = end.envelope(save.before), end.envelope(save.after)
        if before is None or after is None:
            continue
        seen = set(marks_in(base))
        gone = {key for key, mark in lost(before, after) if mark.request != served.name and mark not in seen}
        if before.user_id in (None, after.user_id):
            for key in {*before.data, *base}:
                if base.get(key) != before.data.get(key) != after.data.get(key):
                    yield key, key in gone and not served.did("modifies", key)
        base = after.data


def loaded(served: Served) -> Iterator[Record]:
    """The records that a request loaded."""
    answers = (answer for call, answer in served.calls if call.name == "load" and not call.namespace)
    return (answer for answer in answers if isinstance(answer, Record))


def nothing_is_applied_twice(end: Ending) -> Iterator[Breach]:
    for stored in end.sessions:
        for key, value in stored.envelope.data.items():
            for mark, times in Counter(marks_in(value)).items():
                if times > 1:
                    yield Breach(f"{mark.request} is in {key} {times} times", None, key)


def errors_save_nothing(end: Ending) -> Iterator[Breach]:
    for served in end.served:
        if served.status < 500:
            continue
        by_hand = _saved_by_hand(served)
        for save in served.saves:
            data = {} if (envelope := end.envelope(save.after)) is None else envelope.data
            for key, value in data.items():
                written = [mark for mark in marks_in(value) if mark.request == served.name]
                if written and key not in by_hand:
                    yield Breach(f"{served.name} was answered {served.status}, and {key} is stored", served, key)


def _saved_by_hand(served: Served) -> set[str]:
    deeds = served.progress.deeds
    last = max((number for number, deed in enumerate(deeds) if deed.what == "saves by hand"), default=0)
    return {deed.about for deed in deeds[:last] if deed.what in WRITES}


def everybody_sees_their_own(end: Ending) -> Iterator[Breach]:
    for served in end.served:
        for deed in served.did("sees"):
            for mark in marks_in(deed.value):
                if mark.user_id not in (NOBODY, deed.user_id) or mark.browser != served.browser:
                    yield Breach(f"{served.name} sees what {mark.request} wrote", served)
    for seen in end.everywhere:
        for mark in marks_in(seen.data):
            if mark.user_id not in (NOBODY, seen.user_id):
                yield Breach(f"a cookie of {seen.user_id}'s shows what {mark.request} wrote as {mark.user_id}")


def browsers_keep_what_they_wrote(end: Ending) -> Iterator[Breach]:
    served_as = {served.name: served for served in end.served}
    reached: dict[str, set[Mark]] = {}
    for stored in end.sessions:
        owner = stored.envelope.user_id
        for mark in marks_in(stored.envelope.data):
            served = served_as.get(mark.request)
            if served is not None and (not served.is_acknowledged or served.arrived_at is None):
                continue
            if mark.browser not in {request.browser for request in end.requests}:
                continue
            now = end.in_browser(mark.browser)
            if mark.browser not in reached:
                reached[mark.browser] = set(marks_in(now.data))
            is_others = None not in (now.user_id, owner) and now.user_id != owner
            if mark not in reached[mark.browser] and not is_others:
                what = f"what {mark.request} wrote is stored, but out of its browser's reach"
                yield Breach(what, served, stored.record.id.hex(), mark.browser)


def logins_keep_what_visitors_wrote(end: Ending) -> Iterator[Breach]:
    """Also one that came too late for the session that it was sent with, and has one of its own."""
    for save in end.saves:
        served, after = by(end, save), end.envelope(save.after)
        ticket = end.site.ticket(served.cookie)
        if save.before is not None or after is None or after.user_id is None or ticket is None:
            continue
        record = next((each for each in reversed(list(loaded(served))) if each.id == ticket[0]), None)
        missed = None if record is None or record.expires_at <= end.time_at(save.at) else end.envelope(record)
        all_missed = [end.envelope(record) for record in end.named_throughout(ticket[0], served.sent_at, save.at)]
        if missed is None or not all(each and each.user_id in (None, after.user_id) for each in all_missed):
            continue
        for key, mark in lost(missed, after):
            if not _may_remove(served, key, mark, missed, after):
                yield Breach(f"{served.name} leaves {mark.request}'s {key} behind", served, key)


def marks_of(envelope: Envelope | None, key: str) -> list[Mark]:
    return [] if envelope is None else marks_in(envelope.data.get(key))


STORED = Invariant(
    "What was acknowledged is stored, or `session.write_discarded` names it.", acknowledged_writes_are_stored
)
STAYS = Invariant("What is stored stays until a request removes or replaces that very key.", only_who_says_so_removes)
TOLD = Invariant(
    "Who overwrites what it has not seen says so (`session.overwritten`).", what_is_overwritten_unseen_is_told
)
ONLY_TOLD = Invariant("Nothing else is reported as overwritten.", nothing_else_is_told_as_overwritten)
ONCE = Invariant("No change is applied twice.", nothing_is_applied_twice, needs_words=False)
ERRORS = Invariant("A 5xx saves nothing but what was saved by hand.", errors_save_nothing)
OWN = Invariant(
    "Nobody sees what another user, or another browser, wrote.",
    everybody_sees_their_own,
    needs_words=False,
)
REACHED = Invariant(
    "What a browser's acknowledged requests have stored, this browser sees.", browsers_keep_what_they_wrote
)
INHERITED = Invariant("A login keeps what the visitor wrote before.", logins_keep_what_visitors_wrote)

OF_WRITES = (STORED, STAYS, TOLD, ONLY_TOLD, ONCE, ERRORS, OWN, REACHED, INHERITED)
