"""A site in a file, with people logged in, and no settings in the environment."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cli.kit import FileSite


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FileSite:
    for name in os.environ:
        if name.startswith("SESSIONWARE_") and not name.startswith("SESSIONWARE_TEST_"):
            monkeypatch.delenv(name)
    return FileSite(tmp_path)
