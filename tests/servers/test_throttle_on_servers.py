"""Attempts to log in, counted on servers: no more passwords are checked than the lanes allow, whatever the database."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest

from sessionware import RedisStore, SQLStore
from sessionware.auth import Throttle
from tests.support.attempts import FEW, addresses, checked_at_once, in_vain, right
from tests.support.auth_kit import ADDRESS, AuthSite

SERVERS = {"postgresql": "postgres", "mariadb": "mariadb", "redis": "redis_server"}


@pytest.fixture(params=SERVERS)
def store(request: pytest.FixtureRequest) -> Any:
    server: Any = request.getfixturevalue(SERVERS[request.param])
    opened: Any = (
        RedisStore(f"{server.url}?max_connections=10")
        if request.param == "redis"
        else SQLStore(server.url(server.new_database()), pool_size=10)
    )
    with closing(opened):
        yield opened


def test_attempts_that_overlap_are_counted(store: Any) -> None:
    """1,600 wrong passwords from 400 addresses at one account, at once, and 200 from one address."""
    site = AuthSite(throttle=Throttle(), store=store)
    site.register("Ada")
    site.register("Eve")

    checked = checked_at_once(site, [(address, "Ada") for address in addresses(400)] * 4, threads=10)
    print(f"{checked} of 1600 were checked")
    assert 20 <= checked <= 30
    assert checked_at_once(site, [(ADDRESS, "Eve")] * 200, threads=10) <= 5


def test_a_lane_is_used_up_refilled_and_pruned(store: Any) -> None:
    """Also after its record has expired, which is still in the way of a new one."""
    site = AuthSite(throttle=FEW, store=store, known_devices=False)
    site.register("Ada")
    browser = site.browser()

    assert in_vain(browser, 4) == ["wrong"] * 3 + [30]
    site.clock.tick(3600)
    assert in_vain(browser, 4) == ["wrong"] * 3 + [30]
    site.clock.tick(30)
    assert right(browser) == "in"
    assert site.manager.stats()["throttle"] == 2  # the client's and the account's
    site.clock.tick(3 * 3600)
    site.manager.prune()
    assert site.manager.stats()["throttle"] == 0
