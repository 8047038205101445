"""What a page is, as its file says, and what the site's owner set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ..auth import Auth
from .messages import Messages
from .page import Field, Link, Page

if TYPE_CHECKING:
    from .answers import Response
    from .request import PageRequest


class PageFile(Protocol):
    """What the file of a page contains: first, as data, what the page is, then what it does.

    `get` and `post` may raise an `AuthError`, which is shown on the page: at a field if it is about that field alone,
    else above the form. `NotLoggedIn` leads to the login page, and `NotFresh` to /confirm.
    """

    PATH: str
    """Where it is, after the prefix."""
    TITLE: str
    SUBMIT: str
    """What its button says."""
    FIELDS: tuple[Field, ...]
    """The fields of its form. In a hint, `{minimum_length}` stands for the minimum length of a new password."""
    LINKS: tuple[Link, ...]
    """Links to other pages by their `PATH`, or to the site's home by an empty one. One to a page that nobody
    serves is not shown."""
    MESSAGES: dict[str, str]
    """Its other texts. `error.` and the name of an error's class is what that error says on this page."""
    IS_DESTINATION: bool
    """Whether a login may lead there."""

    def get(self, request: PageRequest, /) -> Response:
        """Show the page."""

    def post(self, request: PageRequest, /) -> Response:
        """Do what the form asks for."""


@dataclass(frozen=True)
class Settings:
    """The arguments of `AuthPages`, the same for every request."""

    auth: Auth
    prefix: str
    home: str
    login_after_register: bool
    site_name: str
    stylesheet: str
    step_up: Mapping[str, str]
    """The site's own pages that prove something else than the password, by the name of the method."""
    render: Callable[[Page, Any], str]
    messages: Messages
    fields: Mapping[str, tuple[Field, ...]]
    """The fields of the pages whose own the site has changed, by the page's `PATH`."""
    there: frozenset[str]
    """The `PATH` of every page that can be linked to, whoever serves it."""
    left_out: frozenset[str]
    """The `PATH` of those that the application serves itself."""
    no_destinations: frozenset[str]
    """The paths of the pages that no login leads to."""

    def fields_of(self, page: PageFile) -> tuple[Field, ...]:
        """The fields of a page's form."""
        return self.fields.get(page.PATH, page.FIELDS)
