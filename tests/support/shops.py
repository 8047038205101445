"""The tea shops in `examples/`: one for each framework, with the same pages, so that one test can visit them all.

A shop that is added here is visited by tests/contrib/test_frameworks.py and, in Chromium, by tests/e2e/test_shops.py.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

import pytest

import dev

EXAMPLES = dev.ROOT / "examples"


def debug_bottle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bottle.DEBUG", True)


def debug_cherrypy(monkeypatch: pytest.MonkeyPatch) -> None:
    import cherrypy

    monkeypatch.setitem(cherrypy.config, "request.throw_errors", True)


class Shop(NamedTuple):
    """An example that is a tea shop.

    `package` is what its framework is installed as, and `sessions` how it comes by its sessions. `debug` switches on
    what shows developers their tracebacks, for those that have such a thing.
    """

    name: str
    package: str | None = None
    sessions: Literal["middleware", "adapter"] = "middleware"
    debug: Callable[[pytest.MonkeyPatch], None] | None = None

    @property
    def example(self) -> Path:
        return EXAMPLES / f"{self.name}_app.py"

    @property
    def page(self) -> Path:
        return dev.ROOT / "docs" / f"{self.name}.md"


SHOPS = [
    Shop("beaker", "beaker", "adapter"),
    Shop("bottle", "bottle", debug=debug_bottle),
    Shop("cherrypy", "cherrypy", debug=debug_cherrypy),
    Shop("django", "django", "adapter"),
    Shop("falcon", "falcon"),
    Shop("flask", "flask", "adapter"),
    Shop("pyramid", "pyramid", "adapter"),
    Shop("webob", "webob"),
    Shop("wsgi"),
]

each_shop = pytest.mark.parametrize("shop", SHOPS, ids=lambda shop: shop.name)


def environ() -> dict[str, str]:
    """The environment of a process that imports examples by their names."""
    path = filter(None, [str(EXAMPLES), os.environ.get("PYTHONPATH")])
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
