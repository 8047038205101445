"""The sign-ins of docs/cross-site-sign-in.md in Chromium: the provider's site is one host, and ours is another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import flask
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

import dev
from sessionware import cli
from tests.project.pages import blocks
from tests.support.prerequisites import require
from tests.support.tls import CHROMIUM_ARGUMENTS, serve

PAGE = (dev.ROOT / "docs" / "cross-site-sign-in.md").read_text(encoding="utf-8")

#: What the provider's page does with the person who comes to it: it posts this form to us.
FORM = """<form method="post" action="{{ target }}">
{% for name, value in values.items() %}<input type="hidden" name="{{ name }}" value="{{ value }}">{% endfor %}
</form><script>document.forms[0].submit()</script>"""

SignIn = Callable[..., Page]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    path = require("chromium")
    with (
        sync_playwright() as playwright,
        closing(playwright.chromium.launch(executable_path=path, args=CHROMIUM_ARGUMENTS)) as browser,
    ):
        yield browser


@pytest.fixture
def ours(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the page's blocks make, but for the last one, which is a test."""
    monkeypatch.chdir(tmp_path)
    cli.main(["secret", "--file", "session-secret"])
    names: dict[str, Any] = {"__name__": "sign_in"}
    for block in [*blocks(PAGE)][:-1]:
        exec(compile(block.code, "cross-site-sign-in.md", "exec"), names)
    return names


@pytest.fixture
def sign_in(chromium: Browser, ours: dict[str, Any]) -> Iterator[SignIn]:
    """Sets out in a browser, from where the provider's form leads on to the target, and gives the tab."""
    provider = flask.Flask("provider")
    provider.add_url_rule("/authorize", "authorize")
    with serve(ours["app"]) as port, serve(provider) as other_port, closing(chromium.new_context()) as context:
        here, ours["PROVIDER"] = f"http://127.0.0.1:{port}", f"http://localhost:{other_port}/authorize"

        def sign_in(target: str, *, state: str, state_sent: str | None = None, **values: str) -> Page:
            def answer() -> str:
                sent = {**values, state: state_sent or flask.request.args["state"]}
                return flask.render_template_string(FORM, target=here + target, values=sent)

            provider.view_functions["authorize"] = answer
            page = context.new_page()
            page.set_default_timeout(10_000)
            page.goto(f"{here}/sign-in")
            return page

        yield sign_in


def test_bounced_sign_in_arrives(sign_in: SignIn) -> None:
    """The session in which it was begun is there again, and the person is logged in."""
    page = sign_in("/sign-in/posted", state="state", code="a code")

    expect(page.locator("body")).to_have_text("Hello Ada.")


def test_sign_in_that_is_bounced_by_a_form_arrives(sign_in: SignIn) -> None:
    """With nothing in the address."""
    page = sign_in("/saml/posted", state="RelayState", SAMLResponse="a code")

    expect(page.locator("body")).to_have_text("Hello Ada.")


def test_sign_in_without_a_bounce_does_not(sign_in: SignIn) -> None:
    """Which is what the page is about: the browser keeps the cookie back."""
    page = sign_in("/saml/done", state="RelayState", SAMLResponse="a code")

    expect(page.locator("body")).to_contain_text("This sign-in was not begun here")


@pytest.mark.parametrize(("target", "state"), [("/sign-in/posted", "state"), ("/saml/posted", "RelayState")])
def test_sign_in_of_somebody_else_does_not_either(sign_in: SignIn, target: str, state: str) -> None:
    """Bounced or not, the state is checked against the session."""
    page = sign_in(target, state=state, state_sent="another one's", code="a code", SAMLResponse="a code")

    expect(page.locator("body")).to_contain_text("This sign-in was not begun here")
