"""Cookies beside the session's own: the same attributes, and its name with something at the end.

They outlive the session, so nothing about it may be in them. What they say is for whoever reads them to seal.
"""

from __future__ import annotations

from .lookup import FOREIGN
from .tickets import CookieValue
from .transaction import Transaction


def companions(transaction: Transaction, suffix: str) -> list[str]:
    """The values that the browser has by now; none where only the value of the session's cookie is known."""
    transaction.load()
    if (sent := transaction.companions.get(suffix)) is not None:
        return [sent.partition("=")[2].partition(";")[0]]
    request = transaction.request
    return [] if isinstance(request, CookieValue) else transaction.site.tickets.values_beside(request, suffix)


def send_companion(transaction: Transaction, suffix: str, value: str, max_age: int) -> None:
    """Let the response, whatever becomes of it, carry such a cookie. Raises `SessionClosed` if that is too late.

    A request from another site sets none (rule 13), and one of which only a cookie's value is known cannot.
    """
    transaction.load_while_open("It is too late to send a cookie")
    request = transaction.request
    if transaction.standing is not FOREIGN and not isinstance(request, CookieValue):
        transaction.companions[suffix] = transaction.site.tickets.issue_beside(request, suffix, value, max_age)
