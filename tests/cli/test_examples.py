"""What people copy from `--help` and from the page works. tests/servers/ runs it on real servers, too."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli import examples


@pytest.fixture
def places(tmp_path: Path) -> dict[str, str]:
    """Files instead of servers, but for `ddl`, which connects to none."""
    sessions, directory = f"sqlite:///{tmp_path}/sessions.db", f"file://{tmp_path}/sessions"
    examples.make_site(tmp_path, sessions, directory, f"sqlite:///{tmp_path}/app.db")
    return {
        "postgresql://mysite@localhost/mysite": sessions,
        "postgresql://mysite:secret@localhost/mysite": sessions,
        "postgresql://mysite@localhost/sessions": f"sqlite:///{tmp_path}/new.db",
        "redis://localhost:6379/0": directory,
        "psql mysite": "cat",
    }


@pytest.mark.parametrize("example", examples.in_help())
def test_the_examples_of_help_work(example: str, tmp_path: Path, places: dict[str, str]) -> None:
    """Each by itself."""
    done = examples.run(example, tmp_path, {} if example.startswith("sessionware ddl") else places)

    assert done.returncode == 0, done.stderr
    assert done.stdout
    assert done.stderr == (
        "sessionware: there is no such session\n" if "revoke" in example and "--id" in example else ""
    )


def test_the_examples_of_the_page_work(tmp_path: Path, places: dict[str, str]) -> None:
    """In their order, in one shell."""
    script = examples.on_page()
    done = examples.run(script, tmp_path, places)

    assert done.returncode == 0, done.stderr
    assert script.count("sessionware") > 12
    assert "CREATE TABLE sessionware_users" in done.stdout
