"""What a request is answered, and what it is shown."""

from __future__ import annotations

from collections.abc import Iterator

from ..interleaving.ending import Ending
from .identity import named_by, turns
from .judging import Breach, Invariant


def answers_are_meant(end: Ending) -> Iterator[Breach]:
    for served in end.served:
        if served.reply is None or served.status == int(served.request.status[:3]):
            continue
        if served.status == 503 and served.has_met_failure:
            continue
        if served.status == 500 and served.did("crashes"):
            continue
        yield Breach(f"{served.name} is answered {served.status}", served)


def nobody_looks_new_who_is_not(end: Ending) -> Iterator[Breach]:
    for served in end.served:
        opened, ticket = named_by(end, served.cookie, served.sent_at), end.site.ticket(served.cookie)
        if opened is None or ticket is None or served.did("is foreign"):
            continue
        if any(turn.at > served.sent_at for turn in turns(end, ticket[0])) or end.has_passed_since(served.sent_at):
            continue
        for deed in served.progress.deeds:
            if deed.what == "sees" and deed.session_id != ticket[0].hex():
                yield Breach(f"{served.name} sees nothing, though its session is there", served)


def foreign_requests_touch_nothing(end: Ending) -> Iterator[Breach]:
    for served in end.served:
        is_without = bool(served.did("is without its cookie"))
        if is_without and served.reply is not None and served.reply.cookie is not None:
            yield Breach(f"{served.name} came without its cookie, and sets one", served)
        if served.did("is foreign"):
            if served.saves or (served.reply is not None and served.reply.cookie is not None):
                yield Breach(f"{served.name} is another site's, and changes something", served)
            if any(deed.session_id for deed in served.progress.deeds):
                yield Breach(f"{served.name} is another site's, and sees a session", served)


def passive_requests_prolong_nothing(end: Ending) -> Iterator[Breach]:
    for served in end.served:
        for save in served.saves if served.did("is passive") else []:
            before, after = save.before, save.after
            if before is not None and after is not None and after.expires_at > before.expires_at:
                yield Breach(f"{served.name} is passive, and prolongs its session", served)


def wishes_are_granted_or_told(end: Ending) -> Iterator[Breach]:
    for served in end.served:
        for what in ("renews", "remembers", "renews forms"):
            wishes = [deed for deed in served.did(what) if deed.session_id is not None]
            if (
                wishes
                and served.is_served
                and not served.did("is refused")
                and not served.saves
                and not served.told("session.write_discarded")
            ):
                yield Breach(f"{served.name} {what}, which is neither saved nor told", served, what)


def what_is_told_as_dropped_is(end: Ending) -> Iterator[Breach]:
    for served in end.served:
        for key in served.keys_told("session.write_discarded"):
            for save in served.saves:
                envelope = end.envelope(save.after)
                values = [] if envelope is None else [envelope.data.get(key)]
                told = [deed.value for deed in served.progress.deeds if deed.about == key and deed.value][-1:]
                if told and told[0] in values:
                    yield Breach(f"{served.name} says that it dropped {key}, which is stored", served, key)


STATUSES = Invariant("Every answer is the application's own, or a 503 after a failure.", answers_are_meant)
SHOWN = Invariant("Nobody who has a session is shown an empty one.", nobody_looks_new_who_is_not)
FOREIGN = Invariant("Another site's request sees nothing and changes nothing.", foreign_requests_touch_nothing)
PASSIVE = Invariant("Passive requests prolong nothing.", passive_requests_prolong_nothing)
WISHES = Invariant("A renewal or `remember()` is done, or told as dropped.", wishes_are_granted_or_told)
HONEST = Invariant("What is told as dropped is not stored.", what_is_told_as_dropped_is)

OF_ANSWERS = (STATUSES, SHOWN, FOREIGN, PASSIVE, WISHES, HONEST)
