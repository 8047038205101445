"""Damaged cookies, rows and forms: a short run of `python3 dev.py fuzz`, and the proof that it would find something."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator

import pytest

from sessionware._core import tickets
from sessionware._core.tickets import Ticket
from sessionware._seals import Sealer
from sessionware.auth.pages import forms
from tests.long import fuzz


@pytest.fixture(autouse=True)
def _log() -> Iterator[None]:
    """As it was before."""
    logger = logging.getLogger("sessionware")
    level = logger.level
    yield
    logger.setLevel(level)


def test_no_damaged_input_is_a_server_error() -> None:
    """Nor does a cookie that does not open reach the store. Forms are refused in every way that there is."""
    outcomes = fuzz.run(20_000)

    assert fuzz.bad(outcomes) == []
    assert {name for name, _ in outcomes} == {case.__name__ for case in fuzz.CASES}
    assert {outcome for name, outcome in outcomes if name == "form_case"} >= {"303", "400", "403", "413", "422"}


def test_the_fuzzer_finds_a_cookie_that_reaches_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is authenticated, it says so."""
    target = fuzz.Target()
    monkeypatch.setattr(tickets, "open_ticket", _opens_anything)
    outcomes = {fuzz.cookie_case(target, random.Random(number)) for number in range(50)}

    assert "STORE CALL" in outcomes


def _opens_anything(_sealer: Sealer, value: str) -> Ticket:
    return Ticket(value.encode("latin-1")[:16].ljust(16), b"t" * 16)


def test_the_fuzzer_finds_a_form_that_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a form is read without care, it stops at the case."""
    monkeypatch.setattr(forms, "_parse", lambda body: [tuple(body.decode().split("=", 1))])

    with pytest.raises(Exception):  # noqa: B017, PT011  (any will do)
        fuzz.run(500)
