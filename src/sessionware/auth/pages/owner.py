"""Whose account a page was shown for. Somebody else may have logged in since, in another tab of the same browser."""

from __future__ import annotations

from ...errors import AuthError
from ..users.base import User
from .forms import Form
from .page import Field

#: Goes with every form that acts on the account of whoever is logged in. It chooses nobody: it is only compared.
OWNER = Field("owner", "", kind="hidden")


class OtherOwner(AuthError):
    """The form was shown to somebody else than who is logged in by now."""

    status = 409
    message = "Nothing was done, because {username} is logged in here by now. Please look again first."
    reason = "other_owner"

    def __init__(self, username: str) -> None:
        super().__init__(self.message.format(username=username))
        self.username = username


def check_owner(form: Form, user: User) -> None:
    """Raise `OtherOwner` if the form was shown to anybody but this user. One that does not say is his or hers."""
    if form[OWNER.name] not in ("", user.id):
        raise OtherOwner(user.username)
