"""Everything that a request can do with its session, its account and other people's, one act each."""

from __future__ import annotations

from .accounts import OF_ACCOUNTS
from .act import Act
from .data import OF_DATA
from .forms import OF_FORMS
from .identity import OF_IDENTITY
from .origins import OF_ORIGINS

ACTS: tuple[Act, ...] = (*OF_DATA, *OF_ORIGINS, *OF_FORMS, *OF_IDENTITY, *OF_ACCOUNTS)
