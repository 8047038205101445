"""What argon2 is made to compute, so that a test can count work instead of timing it."""

from __future__ import annotations

from typing import Any, NamedTuple

import argon2
import pytest
from argon2.low_level import Type


class Computation(NamedTuple):
    """One check of a password that argon2 finished."""

    kind: Type
    memory_cost: int
    time_cost: int
    password_bytes: int

    @property
    def work(self) -> int:
        """Memory times passes, to which the time is proportional."""
        return self.memory_cost * self.time_cost


class Computations(list[Computation]):
    """Every check that argon2 has computed to the end since this was made, or since `taken` was called."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        verify = argon2.PasswordHasher.verify

        def watched(hasher: argon2.PasswordHasher, hash: Any, password: Any) -> bool:
            try:
                verify(hasher, hash, password)
            except argon2.exceptions.VerifyMismatchError:
                self._note(hash, password)
                raise
            self._note(hash, password)
            return True

        monkeypatch.setattr(argon2.PasswordHasher, "verify", watched)

    def taken(self) -> Computations:
        """Those since this was called last."""
        taken = Computations.__new__(Computations)
        taken.extend(self)
        self.clear()
        return taken

    @property
    def work(self) -> int:
        """All of it together."""
        return sum(computation.work for computation in self)

    def _note(self, stored: str, password: str | bytes) -> None:
        parameters = argon2.extract_parameters(stored)
        self.append(Computation(parameters.type, parameters.memory_cost, parameters.time_cost, len(password)))
