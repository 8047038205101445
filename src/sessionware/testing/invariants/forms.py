"""Forms and messages for the next page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from ..interleaving.ending import Ending, Served
from ..interleaving.visit import Mark, marks_in
from .identity import named_by
from .judging import Breach, Invariant


def forms_are_good_until_they_are_not(end: Ending) -> Iterator[Breach]:
    for served in end.served:
        for deed in served.did("checks form"):
            if deed.value and _is_surely_over(end, served, is_of_session=bool(deed.about)):
                yield Breach(f"{served.name}: a form from before is taken", served)
            if not deed.value and _is_surely_good(end, served):
                yield Breach(f"{served.name}: a good form is refused", served)


def _others_before(end: Ending, served: Served) -> list[Served]:
    """The requests of this browser whose responses had arrived when this one was sent."""
    return [
        other
        for other in end.served
        if other.browser == served.browser and other.arrived_at is not None and other.arrived_at < served.sent_at
    ]


def _is_surely_over(end: Ending, served: Served, *, is_of_session: bool) -> bool:
    """A form that was made in a session is over with its token. A visitor's may be made where there was none."""
    before = _others_before(end, served)
    has_changed = any(_has_logged_in(other) or _has_renewed_forms(other) for other in before)
    return has_changed or (is_of_session and any(_has_renewed_or_ended(other) for other in before))


def _has_logged_in(other: Served) -> bool:
    is_sent = other.reply is not None and bool(other.reply.cookie)
    return bool(other.did("logs in")) and other.is_acknowledged and is_sent and not other.told("session.ended")


def _has_renewed_forms(other: Served) -> bool:
    is_dropped = other.told("session.write_discarded") or bool(other.did("is refused"))
    return bool(other.did("renews forms")) and other.is_acknowledged and not is_dropped


def _has_renewed_or_ended(other: Served) -> bool:
    """Whether it gave the session a new token, or ended it, and its answer says so."""
    if not other.is_acknowledged or not other.saves or other.did("is refused"):
        return False
    if other.told("session.write_discarded"):
        return False
    return bool(other.did("renews") or (other.did("logs out") and other.did("ends")))


def _is_surely_good(end: Ending, served: Served) -> bool:
    """Its cookie was good when it was sent, and nobody has done anything but log in or renew the token since."""
    words = ("renews forms", "ends", "clears", "is refused", "forgets", "proves")
    others = [other for other in end.served if other is not served]
    is_quiet = not any(other.did(word) for other in others for word in words)
    before = _others_before(end, served)
    turned = ("logs in", "tries to log in", "renews")
    has_turned = any(other.did(word) for other in before for word in turned)
    is_named = named_by(end, served.cookie, served.sent_at) is not None
    return is_named and is_quiet and not has_turned and not end.has_passed_since(0)


def messages_are_shown(end: Ending) -> Iterator[Breach]:
    for key, times in _shown(end).items():
        if times > 1:
            yield Breach(f"a message of {key.request}'s is shown {times} times", None, "|".join(key))
    for served in end.served:
        for save in served.saves:
            before, after = end.envelope(save.before), end.envelope(save.after)
            if before is None or after is None or not served.is_acknowledged or served.is_dead:
                continue
            gone = Counter(marks_in(before.data.get("_flash_"))) - Counter(marks_in(after.data.get("_flash_")))
            shown = {mark for deed in served.did("shows") for mark in deed.value}
            if served.did("shows") and not set(gone) <= shown:
                yield Breach(f"{served.name} removes a message that it did not show", served)


def _shown(end: Ending) -> Counter[Mark]:
    popped = [served for served in end.served if served.did("drops", "_flash_") and served.is_acknowledged]
    return Counter(mark for served in popped for deed in served.did("shows") for mark in deed.value)


FORMS = Invariant(
    "A form is good until a login, a renewal or an end, and not after it.", forms_are_good_until_they_are_not
)
MESSAGES = Invariant("A message is shown once, and removed only by who shows it.", messages_are_shown)

OF_FORMS = (FORMS, MESSAGES)
