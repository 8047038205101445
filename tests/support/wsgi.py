"""A server's part in WSGI, for an application that a test calls by itself."""

from __future__ import annotations

from collections.abc import Callable


class Started:
    """A `start_response` that keeps what it was told last."""

    def __init__(self) -> None:
        self.status = ""
        self.headers: dict[str, str] = {}
        self.written: list[bytes] = []

    def __call__(
        self, status: str, headers: list[tuple[str, str]], exc_info: object = None
    ) -> Callable[[bytes], object]:
        self.status, self.headers = status, dict(headers)
        return self.written.append
