"""Messages for the next page, as entries of one list in the session, which two requests can change at once."""

from __future__ import annotations

from typing import Any

from ._markup import markup
from ._storable import checked_text

KEY = "_flash_"

Entry = list[Any]
"""A random id, the message, its queue, and whether it is markup."""


def entry(id: bytes, message: object, queue: str) -> Entry:
    """A message to keep. What says that it is markup, by `__html__`, is kept as its HTML."""
    as_html = getattr(message, "__html__", None)
    is_markup = callable(as_html) and not isinstance(message, type)
    text = checked_text(as_html(), "markup") if callable(as_html) and is_markup else message
    return [id, text, checked_text(queue, "a queue"), is_markup]


def of_queue(entries: list[Entry], queue: str | None) -> list[Entry]:
    """The entries of one queue, or all."""
    return [each for each in entries if queue is None or each[2] == queue]


def messages(entries: list[Entry]) -> list[Any]:
    """What was left in them."""
    return [markup(text) if is_markup else text for _, text, _, is_markup in entries]
