"""Text that is HTML, and says so to templates by `__html__`."""

from __future__ import annotations


class PlainMarkup(str):
    """Markup that says no more than that it is. What is added to it makes plain text."""

    __slots__ = ()

    def __html__(self) -> str:
        return str.__str__(self)


def is_markup(text: str) -> bool:
    """Whether the text says that it is HTML as it stands. One whose `__html__` escapes it is not."""
    as_html = getattr(text, "__html__", None)
    return as_html is not None and as_html() == str.__str__(text)


def markup(text: str) -> str:
    """The text as markup: of the type that Flask, Pyramid and most templates know by name, where it is installed."""
    try:
        from markupsafe import Markup
    except ImportError:
        return PlainMarkup(text)
    return Markup(text)  # noqa: S704 - it was markup when it was stored
