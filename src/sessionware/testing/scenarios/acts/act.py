"""What an act is: something that a request does, and says that it does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...._repr import shown_half_built
from ...interleaving.site import Request
from ...interleaving.visit import Visit

HOUR = 3600
DAY = 24 * HOUR

OLD, NEW, WRONG = "seven quiet lanterns drift", "a wholly different pass phrase", "nobody ever chose this one"

Doing = Callable[[Visit], object]


@shown_half_built
@dataclass(frozen=True)
class Act:
    """Something that a request does."""

    name: str
    does: Doing
    late: Doing | None = None
    """What it does after the first byte of the body."""
    status: str = "200 OK"
    environ: Mapping[str, str] = field(default_factory=dict)
    is_without_cookie: bool = False
    """Whether the browser keeps its cookie back, as it does with another site's form."""

    def request(self, name: str = "", **options: Any) -> Request:
        """A request that does it."""
        late = self.late
        return Request(
            name or self.name,
            lambda environ: self.does(Visit(environ)),
            late=None if late is None else lambda environ: late(Visit(environ)),
            status=self.status,
            environ=self.environ,
            says_what_it_does=True,
            is_without_cookie=self.is_without_cookie,
            **options,
        )
