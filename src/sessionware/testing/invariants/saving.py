"""What a request may save, and when: the rules of commit about everything but the data itself."""

from __future__ import annotations

from collections.abc import Iterator

from ..._core.envelope import Envelope
from ...stores.base import Record
from ..interleaving.ending import Ending, Save, Served
from .identity import by
from .judging import Breach, Invariant

#: What a request says that changes who it is, until when, or by which token.
TURNS = ("logs in", "tries to log in", "renews", "remembers", "ends", "clears", "is refused")

#: What a request says that changes nothing.
READS = ("sees", "shows form", "checks form", "peeks", "is passive", "is foreign")


def readers_write_only_the_end(end: Ending) -> Iterator[Breach]:
    for save in end.saves:
        served, before, after = by(end, save), end.envelope(save.before), end.envelope(save.after)
        if any(deed.what not in READS for deed in served.progress.deeds):
            continue
        is_sealed_anew = end.site.rings[served.request.server] != (0,)
        is_touch = _version(save.before) == _version(save.after) or is_sealed_anew
        if before is None or after is None or before != after or not is_touch:
            yield Breach(f"{served.name} only reads, and writes more than when the session ends", served)


def _version(record: Record | None) -> int:
    return 0 if record is None else record.version


def only_who_says_so_changes_the_header(end: Ending) -> Iterator[Breach]:
    for save in end.saves:
        served, before, after = by(end, save), end.envelope(save.before), end.envelope(save.after)
        if before is None or after is None or any(served.did(what) for what in TURNS):
            continue
        if _header(before) != _header(after):
            yield Breach(f"{served.name} changes who it is, until when, or the token", served)


def _header(envelope: Envelope) -> Envelope:
    """What is neither data nor up to each request."""
    return envelope._replace(data={}, extra={})


def saved_before_it_is_answered(end: Ending) -> Iterator[Breach]:
    for served in end.served:
        late = [save for save in served.saves if served.arrived_at is not None and save.at > served.arrived_at]
        if late and served.request.late is None:
            yield Breach(f"{served.name} is answered before it is saved", served)


def ids_are_new(end: Ending) -> Iterator[Breach]:
    for save in end.saves:
        if save.before is None and _was_named(end, by(end, save), save):
            yield Breach(f"{by(end, save).name} begins a session under the id that its cookie named", by(end, save))


def _was_named(end: Ending, served: Served, save: Save) -> bool:
    ticket = end.site.ticket(served.cookie)
    return ticket is not None and ticket[0] == save.id


READ = Invariant(
    "A request that only reads writes nothing but until when the session lives.", readers_write_only_the_end
)
HEADER = Invariant(
    "Who it is, until when and by which token is changed only by a request that says so.",
    only_who_says_so_changes_the_header,
)
FIRST = Invariant("Everything is saved before the first byte.", saved_before_it_is_answered, needs_words=False)
NEW_ID = Invariant("A session begins under an id of its own.", ids_are_new, needs_words=False)

OF_SAVING = (READ, HEADER, FIRST, NEW_ID)
