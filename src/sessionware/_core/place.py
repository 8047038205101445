"""Where a session is used: by which browser, and from which address. Its login is stored with that."""

from __future__ import annotations

from typing import NamedTuple

from .envelope import CLIENT, DEVICE, Envelope


class Place(NamedTuple):
    """A browser in a few words, and an address. Each is None if nobody knows it, or nobody wants it kept."""

    device: str | None
    client: str | None

    @property
    def words(self) -> str:
        """Both for a reader of logs."""
        return f"{self.device or 'an unknown browser'} at {self.client or 'an unknown address'}"


def placed(envelope: Envelope, place: Place) -> Envelope:
    """The envelope with this place; the same one if nothing changes, or if nobody is logged in."""
    if envelope.authenticated_at is None or place == _kept(envelope):
        return envelope
    return envelope.with_extra(dv=place.device, cl=place.client)


def moved(before: Envelope, after: Envelope) -> str:
    """What to tell of a session that is used elsewhere than before; empty if it is not, or if there was no telling."""
    # Encoded, because every write of somebody who is logged in asks this.
    if all(before.extra.get(name) == after.extra.get(name) for name in (DEVICE, CLIENT)):
        return ""
    was, now = _kept(before), _kept(after)
    return "" if _NOWHERE in (was, now) else f"was {was.words}, is {now.words}"


_NOWHERE = Place(None, None)


def _kept(envelope: Envelope) -> Place:
    return Place(envelope.device, envelope.client)
