"""Database servers that fail under load: a short run of `python3 dev.py outages`, and the proof that it would tell."""

from __future__ import annotations

from contextlib import closing

import pytest

from sessionware import MemoryStore, Record, StoreUnavailable
from tests.long.outages.load import OneRecord, StoreCall
from tests.long.outages.runs import OutageResult, details, judged, measure, row
from tests.long.outages.subjects import SUBJECTS

NEVER = 2**40


@pytest.mark.parametrize("name", ["psycopg", "PyMySQL", "Redis"])
def test_server_that_fails_under_load_loses_nothing(name: str) -> None:
    """It is killed and started again at once, and then its connections are ended."""
    with closing(SUBJECTS[name]()) as subject:
        for case in ("killed", "connections ended"):
            result = measure(subject, case, subject.cases()[case], 0.0)
            print(row(name, subject.limit, result), *details(result), sep="\n")

            assert (result.lost, result.wrong) == ((), ())


class Careless(MemoryStore):
    """A store that can be told to do what none may, or only some."""

    flaw = ""

    def replace(self, record: Record) -> bool:
        if self.flaw == "lies":
            return True
        is_written = self.flaw != "is away" and super().replace(record)
        if self.flaw in ("is away", "is deaf"):
            raise StoreUnavailable(self.flaw)
        return is_written and self.flaw != "denies"


@pytest.mark.parametrize("flaw", ["lies", "denies"])
def test_write_that_is_not_as_it_was_answered_is_found(flaw: str) -> None:
    """Acknowledged and not there, or there and denied."""
    store = Careless()
    record = OneRecord(store, NEVER)
    record.replace()
    record.load()
    assert record.lost == []

    store.flaw = flaw
    record.replace()
    record.load()

    assert len(record.lost) == 1


def test_record_that_is_gone_is_found() -> None:
    """Nobody deleted it."""
    store = MemoryStore()
    record = OneRecord(store, NEVER)
    store.delete(record.stored.id)
    record.load()

    assert len(record.lost) == 1


@pytest.mark.parametrize("flaw", ["is away", "is deaf"])
def test_write_that_was_not_confirmed_may_be_there_or_not(flaw: str) -> None:
    """Whatever the next load shows is right."""
    store = Careless()
    record = OneRecord(store, NEVER)
    store.flaw = flaw
    with pytest.raises(StoreUnavailable):
        record.replace()
    store.flaw = ""
    for _ in range(2):
        record.load()
        record.replace()

    assert record.lost == []


def result_of(*calls: StoreCall) -> OutageResult:
    """Of an outage from the tenth second to the twelfth. One call before it and one after it were answered."""
    return judged("killed", [StoreCall(1, 1.1, ""), *calls, StoreCall(13, 13.1, "")], (), 10, 12, may_lose=False)


def test_calls_that_fail_during_an_outage_are_right() -> None:
    """They may begin before it, and end after it."""
    result = result_of(StoreCall(9, 10.5, "gone", True), StoreCall(11, 12.9, "gone", True))

    assert result.is_good
    assert result.failed == 2
    assert [result.first_success, result.slowest] == pytest.approx([1.1, 1.9])


@pytest.mark.parametrize("call", [StoreCall(8, 9, "gone", True), StoreCall(12.5, 12.6, "gone", True)])
def test_call_that_fails_without_an_outage_is_found(call: StoreCall) -> None:
    """Before it, or after it."""
    assert not result_of(call).is_good


def test_error_that_no_store_may_raise_is_found() -> None:
    """Whenever it comes."""
    assert not result_of(StoreCall(10, 11, "OSError")).is_good
