"""A site that moves while people use it: a short run of `tests.long.moving`, and the proof that it finds losses."""

from __future__ import annotations

from pathlib import Path

import pytest

from sessionware import open_store
from tests.long import moving


def urls(directory: Path) -> list[str]:
    return [f"sqlite:///{directory}/first.db", f"file://{directory}/second", f"sqlite:///{directory}/third.db"]


def test_nobody_is_logged_out_by_a_move(tmp_path: Path) -> None:
    """Who was logged in still is, with all that was added, and who logged out between two passes stays out."""
    hops = moving.moved(urls(tmp_path), 30)

    assert len(hops) == 2
    assert all(hop.additions > 0 for hop in hops)
    assert hops[0].passes[0].written >= 32
    assert [hop.passes[2].removed for hop in hops] == [0, 0]


def test_a_move_without_its_last_pass_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody logged in after the pass before."""
    make_pass = moving.copied
    monkeypatch.setattr(
        moving, "copied", lambda source, target, *words: make_pass(source, target) if not words else None
    )

    with pytest.raises(AssertionError):
        moving.moved(urls(tmp_path)[:2], 3)
    assert open_store(urls(tmp_path)[1]).namespace("copy").scan()
