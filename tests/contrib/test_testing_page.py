"""docs/testing.md is a file of tests that pass, in a project of Django and with a browser."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import dev
from tests.project.pages import blocks
from tests.support.prerequisites import require

PAGE = (dev.ROOT / "docs" / "testing.md").read_text(encoding="utf-8")

#: What a reader has: a project, and the fixture of pytest-playwright.
PROJECT = {
    "mysite/__init__.py": "",
    "mysite/settings.py": "ROOT_URLCONF = 'mysite.urls'\n",
    "mysite/urls.py": """
from django.http import HttpResponse
from django.urls import path
from sessionware import get_session

urlpatterns = [path("account", lambda request: HttpResponse(f"Hello {get_session(request).username}"))]
""",
    "mysite/wsgi.py": """
import secrets
from django.core.wsgi import get_wsgi_application
from sessionware import MemoryStore, SessionMiddleware

application = SessionMiddleware(get_wsgi_application(), secret=secrets.token_urlsafe(32), store=MemoryStore())
""",
    "conftest.py": """
import os
import pytest
from playwright.sync_api import sync_playwright

@pytest.fixture
def context():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=os.environ["CHROMIUM"], args=["--no-sandbox"])
        yield browser.new_context()
        browser.close()
""",
}


def run(directory: Path, code: str) -> subprocess.CompletedProcess[str]:
    """pytest's run of this code in such a project. Warnings are errors."""
    for name, text in {**PROJECT, "test_page.py": code}.items():
        path = directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir=."]
    variables = {
        "DJANGO_SETTINGS_MODULE": "mysite.settings",
        "CHROMIUM": require("chromium"),
        "PYTHONWARNINGS": "error,ignore:'cgi' is deprecated:DeprecationWarning,ignore:datetime.datetime.utcnow",
    }
    command += ["test_page.py"]
    return subprocess.run(
        command, cwd=directory, env={**os.environ, **variables}, capture_output=True, text=True, timeout=100
    )


def test_every_test_on_the_page_passes(tmp_path: Path) -> None:
    """Those that the page does not run by itself, too."""
    code = "\n".join(block.code for block in blocks(PAGE))
    done = run(tmp_path, code)

    tests = len(re.findall(r"^ *def test_", code, re.MULTILINE))
    assert (done.returncode, f"{tests} passed" in done.stdout) == (0, True), done.stdout + done.stderr
    assert tests > 10


def test_a_test_that_fails_is_seen(tmp_path: Path) -> None:
    """By the run above."""
    code = next(blocks(PAGE)).code + "\ndef test_it():\n    assert False\n"

    assert run(tmp_path, code).returncode == 1
