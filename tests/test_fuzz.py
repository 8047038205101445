"""Damaged cookies, rows and forms: a short run of `python3 dev.py fuzz`, and the proof that it would find something."""

from __future__ import annotations

import logging

import fuzz
import pytest

from sessionware.auth import pages


@pytest.fixture(autouse=True)
def _log():
    """As it was before."""
    logger = logging.getLogger("sessionware")
    level = logger.level
    yield
    logger.setLevel(level)


def test_no_damaged_input_is_a_server_error():
    """Nor does a cookie that does not open reach the store. Forms are refused in every way that there is."""
    outcomes = fuzz.run(20_000)

    assert fuzz.bad(outcomes) == []
    assert {name for name, _ in outcomes} == {case.__name__ for case in fuzz.CASES}
    assert {outcome for name, outcome in outcomes if name == "form_case"} >= {"303", "400", "403", "413", "422"}


def test_the_fuzzer_finds_a_cookie_that_reaches_the_store(monkeypatch):
    """Where nothing is authenticated, it says so."""
    monkeypatch.setattr("sessionware.ticket.TicketSealer.open", _opens_anything)

    target = fuzz.Target()
    target.tickets = type("Closed", (), {"open": staticmethod(lambda value: None)})
    outcomes = {fuzz.cookie_case(target, fuzz.random.Random(number)) for number in range(50)}

    assert "STORE CALL" in outcomes


def _opens_anything(_sealer, value):
    from sessionware.ticket import Ticket

    return Ticket(value.encode("latin-1")[:16].ljust(16), b"t" * 16)


def test_the_fuzzer_finds_a_form_that_raises(monkeypatch):
    """Where a form is read without care, it stops at the case."""
    monkeypatch.setattr(pages, "_parse", lambda body, length: [tuple(body.decode().split("=", 1))])

    with pytest.raises(Exception):  # noqa: B017, PT011  (any will do)
        fuzz.run(500)
