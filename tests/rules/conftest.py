"""A site, and a browser that was there before."""

from __future__ import annotations

import pytest

from tests.support.fixed import Clock
from tests.support.kit import SessionSite, SiteBrowser


@pytest.fixture
def site(clock: Clock) -> SessionSite:
    return SessionSite(clock=clock)


@pytest.fixture
def browser(site: SessionSite) -> SiteBrowser:
    """A browser that has a session with `n` = 1 in it, and has come back once."""
    browser = site.browser()
    browser.visit(lambda session: session.update(n=1))
    browser.read()
    site.store.taken()
    site.events.clear()
    return browser
