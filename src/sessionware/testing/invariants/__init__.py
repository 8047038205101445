"""What always holds: the sentences that are asked in every order, whatever the requests do, and where they end."""

from __future__ import annotations

from ..interleaving.ending import Ending
from .accounts import OF_ACCOUNTS
from .answers import OF_ANSWERS
from .forms import OF_FORMS
from .identity import OF_IDENTITY
from .judging import Breach, Invariant, Judgement, Limit, judged_by
from .limits import LIMITS
from .saving import OF_SAVING
from .time import OF_TIME
from .writes import OF_WRITES

__all__ = ["INVARIANTS", "LIMITS", "Breach", "Invariant", "Judgement", "Limit", "judge"]

INVARIANTS: tuple[Invariant, ...] = (
    *OF_WRITES,
    *OF_IDENTITY,
    *OF_SAVING,
    *OF_ANSWERS,
    *OF_FORMS,
    *OF_ACCOUNTS,
    *OF_TIME,
)
"""What holds in every order."""


def judge(ending: Ending) -> Judgement:
    """What holds in this order, and what does not."""
    return judged_by(ending, INVARIANTS, LIMITS)
