"""A new password, from what was typed to what is stored: wherever one is set, the same rules hold."""

from __future__ import annotations

from .._hidden import Hidden, HiddenText
from .passwords import Hasher
from .policy.policy import PasswordPolicy
from .throttling.rarely import Rarely
from .where import Where


class NewPasswords:
    """Checks new passwords and hashes them."""

    def __init__(self, policy: PasswordPolicy, hasher: Hasher) -> None:
        self._policy = policy
        self._hasher = hasher
        self._unavailable = Rarely()

    def check_alone(self, typed: Hidden[str], username: str) -> None:
        """Raise `PasswordRejected` unless this can be the new password of this account, as far as we know ourselves."""
        self._policy._check_alone(typed, username)

    def check_breaches(self, typed: Hidden[str], where: Where) -> None:
        """The same for what `breached` knows. Whoever asks has to be counted before: it may be another's service."""

        def tell(why: str) -> None:
            if count := self._unavailable.count(why, where.now()):
                more = "" if count == 1 else f"; {count - 1} more since this was last told"
                where.emit("policy.unavailable", detail=f"{why}{more}")

        self._policy._check_breaches(typed, tell)

    def hashed(self, typed: Hidden[str]) -> HiddenText:
        """What to store for it. Raises `Busy`."""
        return HiddenText(self._hasher.hash(typed.value))
