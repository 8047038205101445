"""One outage from start to end, and the table of all."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from tests.long.outages.load import Load, StoreCall
from tests.long.outages.subjects import Blow, Subject

#: How long each outage lasts, in seconds.
LASTING = {"killed": 2.0, "paused": 5.0, "a primary paused": 5.0}

MARGIN = 0.02  # seconds between what happened and a thread that could take down when


class OutageResult(NamedTuple):
    """What was seen. Times are in seconds."""

    case: str
    calls: int
    lasted: float
    lost: tuple[str, ...]
    """Acknowledged writes that are not there, and answers that are wrong."""
    failed: int
    errors: Counter[str]
    stray: tuple[str, ...]
    """Calls that failed although they were over before the outage, or began after it."""
    wrong: tuple[str, ...]
    """Errors other than `StoreUnavailable`."""
    first_success: float
    """From the end of the outage to the end of the first call that worked."""
    last_failure: float
    """From the end of the outage to the end of the last call that failed; negative if it was before."""
    slowest: float
    usual: float
    """The median of the calls before the outage."""
    may_lose: bool

    @property
    def is_good(self) -> bool:
        return not (self.stray or self.wrong) and (self.may_lose or not self.lost)


def measure(subject: Subject, case: str, blow: Blow, seconds: float) -> OutageResult:
    """Do it to the server of a store at work."""
    store = subject.store()
    with Load(store) as load:
        load.wait_for_success(0)
        began = time.monotonic()
        back = blow(seconds)
        load.wait_for_success(time.monotonic())
    for own in load.records:
        for record in own:
            record.load()
    calls = list(load.calls)
    getattr(store, "close", lambda: None)()
    return judged(case, calls, tuple(load.lost), began, back, subject.may_lose)


def judged(
    case: str, calls: list[StoreCall], lost: tuple[str, ...], began: float, back: float, may_lose: bool
) -> OutageResult:
    """What follows from the calls that were made before, during and after an outage."""
    failed = [call for call in calls if call.error]
    stray = [call for call in failed if call.ended < began - MARGIN or call.began > back + MARGIN]
    worked = [call.ended - back for call in calls if not call.error and call.ended >= back]
    before = sorted(call.ended - call.began for call in calls if call.ended < began)
    return OutageResult(
        case=case,
        calls=len(calls),
        lasted=back - began,
        lost=lost,
        failed=len(failed),
        errors=Counter(call.error for call in failed),
        stray=tuple(f"{call.began - back:+.3f} s: {call.error}" for call in stray),
        wrong=tuple(call.error for call in failed if not call.is_unavailable),
        first_success=min(worked),
        last_failure=max((call.ended - back for call in failed), default=-(back - began)),
        slowest=max(call.ended - call.began for call in calls),
        usual=before[len(before) // 2],
        may_lose=may_lose,
    )


HEAD = "| store | outage | lasted | calls | failed | astray | lost | first success after | slowest call | limit |"


def row(name: str, limit: float, result: OutageResult) -> str:
    cells = [
        *[name, result.case, f"{result.lasted:.2f} s", str(result.calls), str(result.failed), str(len(result.stray))],
        *[str(len(result.lost)), f"{result.first_success:.3f} s", f"{result.slowest:.3f} s", f"{limit:.1f} s"],
    ]
    return f"| {' | '.join(cells)} |"


def details(result: OutageResult) -> Iterable[str]:
    """What the errors said, and each case of what is wrong."""
    yield from (f"    {count:5} times {error}" for error, count in result.errors.most_common(4))
    yield from (f"    LOST: {what}" for what in result.lost[:5])
    yield from (f"    ASTRAY: {what}" for what in result.stray[:5])
    yield from (f"    WRONG: {what}" for what in result.wrong[:5])
