"""Moving a site's sessions to another store, in passes, so that nobody is logged out.

A pass makes the target equal to the source. It reads both in id order, one range of ids at a time, and writes what
differs, so it needs little memory, and one that was interrupted is simply begun again. What the site changes during a
pass is left to the next one, and the last pass is made when the site has stopped.

Until then, the target has a mark, and belongs to the passes alone. Only that allows what no site may do to a store: to
put back, under its id, a record that was there before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from .._seals import derive_keys
from ..errors import ConfigError, StoreError
from ..events import Events
from ..keyring import Keyring
from ..stores.base import Record, Store, inside
from .copy_mark import MARK_NAMESPACE, Begun, CopyMark, Names, shown
from .envelope import FORMAT_BYTE, Stored, open_record, seal_envelope
from .pairs import Pair, Span, differences, is_record
from .records import CHANCE, MAX_BYTES, Records
from .shelf import LIBRARY_NAMESPACES

#: Names that no site can have.
RESERVED = (*LIBRARY_NAMESPACES, MARK_NAMESPACE)

#: Fewer sessions than this may always be removed.
_HANDFUL = 10

_EMPTIED = (
    "This pass would remove {} of the first {} sessions in {} of the store to copy to, so it stops. Has the store to "
    "copy from lost what it had, is it another site's, does a site run on the store to copy to already, or is this "
    "machine's clock wrong? If none of it, add --allow-removals."
)

_DIFFERENT = (
    "{} records in {} differ by now, so the copy is not finished. The site still writes to the store to copy from: "
    "stop it there, and make the last pass again. If it has stopped, the store to copy to loses what is written to it."
)


@dataclass
class Tally:
    """What a pass did in one namespace. Everything that it read was written, unchanged, expired or unreadable."""

    namespace: str
    """Its path in the target; empty for the root."""
    read: int = 0
    written: int = 0
    unchanged: int = 0
    expired: int = 0
    """Left out, because no store would return them any more."""
    unreadable: int = 0
    """Left out, because they are not records, or because no secret opens them where they must be sealed anew."""
    removed: int = 0
    """What the source does not have any more."""
    newer: int = 0
    """Sessions that the target had in a later state than the source. Only a site that runs there can have done that."""


class Reseal:
    """Seals records for another path than the one they were sealed for, without which they would count as damaged."""

    def __init__(self, keyring: Keyring, source: Store, target: Store, clock: Callable[[], float]) -> None:
        # Neither records nor owners depend on a cookie's name.
        self._keys = derive_keys(
            keyring._secrets, secure_cookie="", plain_cookie="", store_path=target.path, record_format=FORMAT_BYTE
        )
        self._path = "/".join(source.path).encode()
        self._target = Records(target, Events(None, clock), max_bytes=MAX_BYTES, clock=clock, chance=CHANCE)
        self._has_opened = False

    def page(self, records: list[Record]) -> list[Record]:
        """Those that open, sealed anew. Raises `ConfigError` if none ever did: that is a wrong secret."""
        sealed = [again for record in records if (again := self._sealed(record)) is not None]
        self._has_opened = self._has_opened or bool(sealed)
        if records and not self._has_opened:
            raise ConfigError(
                f"None of the first {len(records)} sessions opens. Give the secret of the site that made them."
            )
        return sealed

    def _sealed(self, record: Record) -> Record | None:
        opened = open_record(self._keys.record, record, self._path)
        if not isinstance(opened, Stored):
            return None
        envelope = opened.envelope
        if opened.is_stale:
            # From now on it counts as sealed by the newest secret, so its owner has to be found by that one, too.
            owner = self._target.owner(self._keys, envelope.username, envelope.user_id)
            record = record._replace(owner=owner)
        return record._replace(payload=seal_envelope(self._keys.record, envelope, record, self._target.path))


class SiteCopy:
    """The copy of one site's sessions: `begin`, then one pass by `copy`, and `finish` if it was the last one.

    Args:
        source: The root of the site, where it runs now.
        target: The root of the site, where it is to run.
        clock: Returns seconds since the epoch.
        names: Paths of namespaces to copy as well, each with the library's own ones in it.
        reseal: Needed if the two roots have different paths. Then the library's own namespaces stay behind, because
            what is in them is sealed by other rules, and nobody is logged out without them.
        origin: What the source is called, so that a later pass from another one is refused.
        page: Records to read at a time, of each store, or fewer where they are large.
    """

    def __init__(
        self,
        source: Store,
        target: Store,
        *,
        clock: Callable[[], float],
        names: Iterable[Names] = (),
        reseal: Reseal | None = None,
        origin: str = "",
        page: int = 1000,
    ) -> None:
        if source.path != target.path and reseal is None:
            raise ConfigError("Sessions are sealed for their namespace, so moving them to another takes the secret.")
        self._source, self._target = source, target
        self._mark = CopyMark(source, target, clock)
        self._origin = origin
        self._unreadable = 0
        self._clock = clock
        self._reseal = reseal
        self._page = page
        self._names: list[Names] = [(), *map(_checked, names)]
        self._pairs: list[Pair] = []

    def begin(self, *, same_source: bool = False) -> None:
        """Take possession of the target.

        A mark that is there already names what the passes before copied. This one copies it too. With `same_source`,
        the source is the one of the passes before, whatever it is called by now.

        Raises:
            ConfigError: The target is in use, or it is the source, or the source is the target of another copy, or the
                passes before copied from elsewhere.
            StoreError: Another copy begins at the same moment.
            StoreUnavailable: A store failed.
        """
        if self._mark.is_in_source():
            raise ConfigError(
                "The store to copy from is itself the target of a copy that is not finished. Are the two the wrong way "
                "round?"
            )
        found = self._mark.found()
        if found is not None:
            self._check_source(found, same_source=same_source)
        before = [] if found is None else found.names
        self._names = list(dict.fromkeys([*before, *self._names]))
        self._pairs = [pair for names in self._names for pair in self._pairs_of(names, is_new=names not in before)]
        self._mark.put(Begun(self._origin, self._source.path, self._names))
        if self._mark.is_in_source():
            self._mark.remove()
            raise ConfigError("The two stores are the same one.")

    def _check_source(self, before: Begun, *, same_source: bool) -> None:
        """What is in the target and not in another source would be removed."""
        if before.path != self._source.path:
            raise ConfigError(
                f"The passes before copied {shown(before.path)} of the store to copy from, and this one would copy "
                f"{shown(self._source.path)} in its place. Nothing was changed. Give the same --namespace and "
                "--to-namespace as before, or an empty store to copy to."
            )
        if before.origin != self._origin and not same_source:
            raise ConfigError(
                f"The passes before copied from {before.origin}, and this one would from {self._origin}. Nothing was "
                "changed. Copy from there, or to an empty store. If both are the same store, add --same-source."
            )

    def copy(self, progress: Callable[[int], object] | None = None, *, allow_removals: bool = False) -> list[Tally]:
        """Make one pass, and say what it did in each namespace.

        `progress` is called with the number of records read so far. With `allow_removals`, the pass may remove most of
        the target's sessions.

        Raises:
            ConfigError: The records must be sealed anew, and the secret opens none.
            StoreError: The target does not keep what was written, or another copy has begun, or most of the target's
                sessions would be removed.
            StoreUnavailable: A store failed.
        """
        tallies: list[Tally] = []
        for pair in self._pairs:
            tallies.append(Tally(pair.path))
            losses = _Losses(is_allowed=allow_removals or not pair.is_root)
            for _span in self._copied(pair, tallies[-1], losses):
                _tell(progress, tallies)
        self._unreadable = sum(tally.unreadable for tally in tallies)
        return tallies

    def finish(self, *, skip_unreadable: bool = False, progress: Callable[[int], object] | None = None) -> None:
        """Compare the two stores once more, and release the target.

        Raises:
            StoreError: The stores differ, or the pass left out what it could not read, and this is not to be skipped.
            StoreUnavailable: A store failed.
        """
        if self._unreadable and not skip_unreadable:
            raise StoreError(
                f"{self._unreadable} records could not be read and were left out, so the copy is not finished."
            )
        self._mark.check()
        tallies: list[Tally] = []
        for pair in self._pairs:
            tallies.append(Tally(pair.path))
            different = 0
            for found in self._compared(pair, tallies[-1]):
                different += found
                _tell(progress, tallies)
            if different:
                raise StoreError(_DIFFERENT.format(different, pair.name))
        self._mark.check()
        self._mark.remove()

    def _pairs_of(self, names: Names, *, is_new: bool) -> Iterator[Pair]:
        """One root and the library's own namespaces in it, empty in the target if nothing was ever copied there."""
        for path in [names, *((*names, name) for name in (LIBRARY_NAMESPACES if self._reseal is None else ()))]:
            pair = Pair(inside(self._source, path), inside(self._target, path), self._page, is_root=path == names)
            if is_new and pair.target.scan(None, 1):
                raise ConfigError(
                    f"The store to copy to already holds records in {pair.name} that no unfinished copy put there. "
                    "Nothing was changed. Give an empty store. (If a last pass was made, the copy is finished.)"
                )
            yield pair

    def _copied(self, pair: Pair, tally: Tally, losses: _Losses) -> Iterator[Span]:
        """Copy one namespace, span by span."""
        now = int(self._clock())
        for span in pair.spans():
            there = {record.id: record for record in span.there}
            here = self._wanted(span, now, tally)
            changed = [record for record in here.values() if there.get(record.id) != record]
            gone = [id for id in there if id not in here]
            losses.check(pair, span, here, now)
            if pair.is_root:  # what the library keeps may go, and begin again under the same id
                tally.newer += sum(_is_newer(there[record.id], record) for record in changed if record.id in there)
            if changed or gone:
                self._mark.check()
                pair.change(changed, gone, there, self._mark.check_before_a_call)
                self._mark.check()  # or what a newer copy has changed would count as lost
                pair.check_kept(span, here, int(self._clock()))
            tally.written += len(changed)
            tally.unchanged += len(here) - len(changed)
            tally.removed += len(gone)
            yield span

    def _compared(self, pair: Pair, tally: Tally) -> Iterator[int]:
        """How many records differ, span by span."""
        for span in pair.spans():
            now = int(self._clock())
            yield differences(self._wanted(span, now, tally), {record.id: record for record in span.there}, now)

    def _wanted(self, span: Span, now: int, tally: Tally) -> dict[bytes, Record]:
        """What the target should have between these ids."""
        records = [record for record in span.here if is_record(record)]
        live = [record for record in records if record.expires_at > now]
        sealed = live if self._reseal is None else self._reseal.page(live)
        tally.read += len(span.here)
        tally.expired += len(records) - len(live)
        tally.unreadable += len(span.here) - len(records) + len(live) - len(sealed)
        return {record.id: record for record in sealed}


class _Losses:
    """What a pass would remove of the target's sessions, so far.

    Ids are random, so the first ones tell what the others would be like, and a pass that would empty the target is
    stopped before it has removed more than a handful.
    """

    def __init__(self, *, is_allowed: bool) -> None:
        self._is_allowed = is_allowed
        self._there = self._live = 0
        self._gone = self._gone_alive = 0
        self._kept = 0

    def check(self, pair: Pair, span: Span, here: dict[bytes, Record], now: int) -> None:
        """Add what a span would lose. Raises `StoreError`."""
        gone = [record for record in span.there if record.id not in here]
        self._there += len(span.there)
        self._live += sum(record.expires_at > now for record in span.there)
        self._gone += len(gone)
        self._gone_alive += sum(record.expires_at > now for record in gone)
        self._kept += len(here)
        # What has expired is no loss, unless nothing is alive in the source, either: by a wrong clock, all has expired.
        is_most = not self._kept or 2 * self._gone_alive > self._live
        if self._gone > _HANDFUL and is_most and not self._is_allowed:
            raise StoreError(_EMPTIED.format(self._gone, self._there, pair.name))


def _checked(names: Iterable[str]) -> Names:
    path = tuple(names)
    if any(name in RESERVED for name in path):
        raise ConfigError(f"{'/'.join(path)}: {', '.join(RESERVED)} are the library's own, and cannot be named.")
    return path


def _tell(progress: Callable[[int], object] | None, tallies: list[Tally]) -> None:
    if progress is not None:
        progress(sum(tally.read for tally in tallies))


def _is_newer(there: Record, here: Record) -> bool:
    """Whether a site has used the target's record since it was copied."""
    return (there.version, there.expires_at) > (here.version, here.expires_at)
