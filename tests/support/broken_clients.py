"""Stores that get a broken connection to their server wrong, each in one way, and the test that has to say so."""

from __future__ import annotations

import socket
from typing import Any

from sessionware import StoreUnavailable
from sessionware.stores.base import Record
from tests.support.toy_server import ToyStore


class SendsAgain(ToyStore):
    """What the clients of many databases do unless they are told not to."""

    def _call(self, method: str, *arguments: Any) -> Any:
        try:
            return super()._call(method, *arguments)
        except StoreUnavailable:
            return super()._call(method, *arguments)


class SaysNo(ToyStore):
    """Takes a call that failed for one that found nothing to do."""

    def _call(self, method: str, *arguments: Any) -> Any:
        try:
            return super()._call(method, *arguments)
        except StoreUnavailable:
            return [] if method in ("owned_by", "scan") else False


class SaysYes(ToyStore):
    """Trusts that a write got there."""

    def _call(self, method: str, *arguments: Any) -> Any:
        try:
            return super()._call(method, *arguments)
        except StoreUnavailable:
            if method in ("load", "owned_by", "scan"):
                raise
            return True


class ReplacesOnTop(ToyStore):
    """Makes the change once more, on top of whatever is there, and only then says that something went wrong."""

    def replace(self, record: Record) -> bool:
        try:
            return super().replace(record)
        except StoreUnavailable:
            found = self.load(record.id, 0)
            if found:
                super().replace(record._replace(version=found.version + 1))
            raise


class ReplacesInTwoSteps(ToyStore):
    def replace(self, record: Record) -> bool:
        return self.delete(record.id) and self.create(record)


class TakesFailureForNothing(ToyStore):
    """Asks first whether there is anything to replace."""

    def replace(self, record: Record) -> bool:
        try:
            is_there = self.load(record.id, 0) is not None
        except StoreUnavailable:
            is_there = False
        return is_there and super().replace(record)


class TakesBackWhatItCreated(ToyStore):
    """Cleans up after a failure, as if it knew what had happened."""

    def create(self, record: Record) -> bool:
        try:
            return super().create(record)
        except StoreUnavailable:
            self.delete(record.id)
            raise


class LetsTheErrorOut(ToyStore):
    """An application would have to know which driver the store uses."""

    def _call(self, method: str, *arguments: Any) -> Any:
        try:
            return super()._call(method, *arguments)
        except StoreUnavailable as error:
            raise ConnectionError("the driver's own") from error


class KeepsTheConnection(ToyStore):
    """Opens one connection and knows no other, whatever becomes of it."""

    only: socket.socket | None = None

    def _connection(self) -> socket.socket:
        self.only = self.only or super()._connection()
        return self.only


class KeepsTheOthers(ToyStore):
    """Finds out about each dead connection by losing a call to it."""

    def _close_others(self) -> None:
        pass


class TriesTheOthers(ToyStore):
    """Sends again for as long as there is another open connection."""

    def _close_others(self) -> None:
        pass

    def _call(self, method: str, *arguments: Any) -> Any:
        while True:
            try:
                return super()._call(method, *arguments)
            except StoreUnavailable:
                if not self._idle:
                    raise


CAUGHT_BY = [
    (KeepsTheOthers, "connections_that_were_all_closed_meanwhile_cost_one_call", "so did the next call"),
    (
        TriesTheOthers,
        "a_write_that_loses_its_answer_is_sent_once_whatever_connections_there_are",
        "create gave False though its answer was lost",
    ),
    (SendsAgain, "create_that_loses_its_answer_is_sent_once", "create gave False though its answer was lost"),
    (SendsAgain, "replace_that_loses_its_answer_is_sent_once", "replace gave False though its answer was lost"),
    (SendsAgain, "delete_that_loses_its_answer_is_sent_once", "delete gave False though its answer was lost"),
    (SendsAgain, "touch_that_loses_its_answer_is_sent_once", "touch gave None though its answer was lost"),
    (SendsAgain, "prune_that_loses_its_answer_is_sent_once", "prune gave 0 though its answer was lost"),
    (SendsAgain, "a_call_that_loses_its_first_answer_makes_nothing_up", "create made up the answer False"),
    (SaysNo, "create_that_loses_its_answer_is_sent_once", "create gave False though its answer was lost"),
    (SaysNo, "replace_that_loses_its_answer_is_sent_once", "replace gave False though its answer was lost"),
    (SaysNo, "a_call_that_loses_its_first_answer_makes_nothing_up", "create made up the answer False"),
    (SaysNo, "a_connection_that_was_closed_meanwhile_makes_nothing_up", "create made up the answer False"),
    (SaysNo, "a_server_that_is_away_is_an_outage", "create gave False though nobody could be asked"),
    (SaysYes, "create_that_loses_its_answer_is_sent_once", "create gave True though its answer was lost"),
    (SaysYes, "replace_that_loses_its_answer_is_sent_once", "replace gave True though its answer was lost"),
    (SaysYes, "delete_that_loses_its_answer_is_sent_once", "delete gave True though its answer was lost"),
    (SaysYes, "touch_that_loses_its_answer_is_sent_once", "touch gave None though its answer was lost"),
    (SaysYes, "prune_that_loses_its_answer_is_sent_once", "prune gave 1 though its answer was lost"),
    (SaysYes, "a_connection_that_was_closed_meanwhile_makes_nothing_up", "create did not do once, and as a whole"),
    (ReplacesOnTop, "replace_that_loses_its_answer_is_sent_once", "replace did not do once, and as a whole"),
    (ReplacesInTwoSteps, "replace_that_loses_its_answer_is_sent_once", "replace did not do once, and as a whole"),
    (TakesFailureForNothing, "a_call_that_loses_its_first_answer_makes_nothing_up", "replace made up the answer False"),
    (TakesBackWhatItCreated, "create_that_loses_its_answer_is_sent_once", "create did not do once, and as a whole"),
    (LetsTheErrorOut, "create_that_loses_its_answer_is_sent_once", "create raised ConnectionError"),
    (LetsTheErrorOut, "a_server_that_is_away_is_an_outage", "create raised ConnectionError"),
    (KeepsTheConnection, "create_that_loses_its_answer_is_sent_once", "the next call"),
    (KeepsTheConnection, "a_connection_that_was_closed_meanwhile_makes_nothing_up", "the next call"),
]
