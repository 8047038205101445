"""What a new password has to be."""

from __future__ import annotations

from dataclasses import dataclass
from unicodedata import category, normalize

from .._hidden import Hidden
from ..errors import ConfigError, PasswordRejected
from .passwords import MAX_CHARACTERS, hashable

#: Code points. ASVS 5.0 6.2.1: no policy may ask for less.
LEAST_MINIMUM_LENGTH = 8


@dataclass(frozen=True)
class PasswordPolicy:
    """The rule for new passwords: at least `minimum_length` code points. Old ones are not checked.

    NIST SP 800-63B-4 §3.1.1.2 requires 15 for a password that is the only factor. Raises `ConfigError` below 8. There
    are no composition rules (digits, capitals), because the same standard forbids them.
    """

    minimum_length: int = 15

    def __post_init__(self) -> None:
        length = self.minimum_length
        if not isinstance(length, int) or not LEAST_MINIMUM_LENGTH <= length <= MAX_CHARACTERS:
            raise ConfigError(
                f"PasswordPolicy(minimum_length={length!r}): write 15 or more, or at least {LEAST_MINIMUM_LENGTH} if "
                "there is a second factor too (NIST SP 800-63B-4)."
            )

    def validate(self, password: str) -> None:
        """Raise `PasswordRejected` if this cannot be a new password; its `reason` is too_short, too_long or invalid."""
        typed = Hidden(password)
        del password
        hashable(typed)
        if any(map(_is_control, typed.value)):  # which no login form lets anybody type
            raise PasswordRejected("Please choose a password without tabs or line breaks.", reason="invalid")
        if len(normalize("NFC", typed.value)) < self.minimum_length:
            raise PasswordRejected(
                f"Please choose a password of at least {self.minimum_length} characters. Several words are fine.",
                reason="too_short",
            )


DEFAULT_POLICY = PasswordPolicy()


def validate_password(password: str) -> None:
    """Raise `PasswordRejected`, with a text for people, if this is not good enough for a new password."""
    typed = Hidden(password)
    del password
    DEFAULT_POLICY.validate(typed.value)


def _is_control(character: str) -> bool:
    return category(character) == "Cc"
