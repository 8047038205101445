"""What a new password has to be."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from unicodedata import category, normalize

from ..._checks import shown
from ..._hidden import Hidden, without_frames
from ...errors import ConfigError, PasswordRejected
from ...usernames import MAX_CHARACTERS as LONGEST_NAME
from ..passwords import MAX_CHARACTERS, hashable
from .breached import Breached, NoAnswer, ask
from .weakness import LEAST_NAME, Weakness, names_in, weakness

#: Code points. ASVS 5.0 6.2.1: no policy may ask for less.
LEAST_MINIMUM_LENGTH = 8

_ADVICE = "Please choose several words that have nothing to do with each other."

_logger = logging.getLogger("sessionware")


@dataclass(frozen=True)
class PasswordPolicy:
    """The rules for new passwords. Old ones are not checked.

    There are no composition rules (digits, capitals), because NIST SP 800-63B-4 §3.1.1.2 forbids them. What it requires
    is that common passwords are refused: those on a list that comes with the library, what people make of them, and
    what is made of the username or of the site's own words.

    Args:
        minimum_length: Code points, after Unicode's NFC. 15 for a password that is the only factor, or as few as 8
            beside a second one.
        words: The name of the site, of what it offers, of who runs it. A password that is made of them is refused.
        breached: Takes a password and returns whether it is known from a breach. It is asked last, only about a
            password that is fine otherwise. If it raises, or takes too long, that is reported, and the password counts
            as fine.
        breached_timeout: Seconds to wait for it.

    Raises:
        ConfigError: A setting is wrong; the message says what to write instead.
    """

    minimum_length: int = 15
    words: tuple[str, ...] = ()
    breached: Breached | None = None
    breached_timeout: float = 1.0

    def __post_init__(self) -> None:
        _check_length(self.minimum_length)
        _check_words(self.words)
        _check_breached(self.breached, self.breached_timeout)
        object.__setattr__(self, "words", tuple(self.words))

    def validate(
        self, password: str, *, username: str = "", on_unavailable: Callable[[str], object] | None = None
    ) -> None:
        """Raise `PasswordRejected` if this cannot be a new password.

        Its `reason` is too_short, too_long, invalid, common, context or breached.

        Args:
            password: The password as it was typed.
            username: The name of the account that it is for.
            on_unavailable: Told why `breached` gave no answer. Without it, that is a warning in the log.

        Raises:
            PasswordRejected: The password does not fit; the message, for people, says why.
            TypeError: The password or the username is not text.
        """
        typed = Hidden(password)
        del password
        self._check_alone(typed, username)
        self._check_breaches(typed, on_unavailable or _warn)

    def _check_alone(self, typed: Hidden[str], username: str) -> None:
        """The rules that nobody has to be asked about."""
        if not isinstance(username, str):
            raise TypeError(f"a username must be text, not {type(username).__name__}")
        self._check_characters(typed)
        found = self._weakness(typed, username)
        if found is not None:
            reason = "context" if found is Weakness.CONTEXT else "common"
            raise PasswordRejected(f"{found.value} {_ADVICE}", reason=reason)

    def _check_breaches(self, typed: Hidden[str], tell: Callable[[str], object]) -> None:
        """The rule that `breached` is asked about."""
        if self._is_breached(typed, tell):
            raise PasswordRejected(
                "This password is known from a data breach, and is tried first by those who guess. Please choose "
                "another one, and change it wherever else you use it.",
                reason="breached",
            )

    def _check_characters(self, typed: Hidden[str]) -> None:
        hashable(typed)
        if any(map(_is_control, typed.value)):  # which no login form lets anybody type
            raise PasswordRejected("Please choose a password without tabs or line breaks.", reason="invalid")
        if len(normalize("NFC", typed.value)) < self.minimum_length:
            raise PasswordRejected(
                f"Please choose a password of at least {self.minimum_length} characters. Several words are fine.",
                reason="too_short",
            )

    def _weakness(self, typed: Hidden[str], username: str) -> Weakness | None:
        try:
            names = self._names | set(names_in(username[:LONGEST_NAME]))
            return weakness(typed.value, names, self.minimum_length)
        except BaseException as error:
            without_frames(error)  # whose locals are parts of the password
            raise error  # not a bare `raise`, which before Python 3.11 puts the frames back

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(chain.from_iterable(map(names_in, self.words)))

    def _is_breached(self, typed: Hidden[str], tell: Callable[[str], object]) -> bool:
        if self.breached is None:
            return False
        try:
            return ask(self.breached, typed, self.breached_timeout)
        except NoAnswer as unavailable:
            tell(f"{unavailable}; the password was checked against the list of common ones alone")
            return False


def _check_length(length: object) -> None:
    if not isinstance(length, int) or not LEAST_MINIMUM_LENGTH <= length <= MAX_CHARACTERS:
        raise ConfigError(
            f"PasswordPolicy(minimum_length={length!r}): write 15 or more, or at least {LEAST_MINIMUM_LENGTH} if "
            "there is a second factor too (NIST SP 800-63B-4)."
        )


def _check_words(words: object) -> None:
    if isinstance(words, (tuple, list, set, frozenset)):
        wrong = [word for word in words if not isinstance(word, str) or sum(map(str.isalnum, word)) < LEAST_NAME]
        if not wrong:
            return
        words = wrong[0]
    raise ConfigError(
        f"PasswordPolicy(words={words!r}): write a tuple of names with at least {LEAST_NAME} letters, such as "
        'words=("Larkfield Library",).'
    )


def _check_breached(breached: object, timeout: object) -> None:
    if breached is not None and (not callable(breached) or inspect.iscoroutinefunction(breached)):
        raise ConfigError(
            f"PasswordPolicy(breached={shown(breached)}): pass a plain function that takes a password and returns "
            "True or False."
        )
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not 0 < timeout <= 30:
        raise ConfigError(f"PasswordPolicy(breached_timeout={timeout!r}): write seconds, 30 at most, such as 1.0.")


def _warn(why: str) -> None:
    _logger.warning("policy.unavailable detail=%a", why)


def _is_control(character: str) -> bool:
    return category(character) == "Cc"


DEFAULT_POLICY = PasswordPolicy()


def validate_password(password: str, *, username: str = "") -> None:
    """Raise `PasswordRejected`, with a text for people, if this is not good enough for a new password."""
    typed = Hidden(password)
    del password
    DEFAULT_POLICY.validate(typed.value, username=username)
