"""The server's secret, or several of them while one replaces another. The keys derived from them are in `_seals`.

The newest secret seals; all of them open. To rotate without logging anyone out, in three deploys:

    1. Keyring([current, new])    every server can open what the new one will seal
    2. Keyring([new, current])    the new one seals
    3. Keyring([new])             once nothing sealed by the old one is alive
"""

from __future__ import annotations

from collections.abc import Sequence

from ._hidden import Hidden
from ._repr import shown_half_built
from .errors import ConfigError

_MIN_CHARACTERS = 32
_MIN_DISTINCT_CHARACTERS = 8
_MIN_SURPRISES = 22

_ROWS = (
    "abcdefghijklmnopqrstuvwxyz 01234567890 qwertyuiop qwertzuiop azertyuiop asdfghjkl zxcvbnm yxcvbnm "
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p !@#$%^&*()_+"
)
_WORDS = (
    "my your this that here please changeme change-it super secret password passwd session key cookie insecure "
    "development production default example test 2020 2021 2022 2023 2024 2025 2026 2027 2028 2029"
)

#: What secrets that were thought up are made of.
_EXPECTED = f"{_ROWS} {_ROWS[::-1]} {_WORDS}"

#: Secrets that stand in manuals, ours among them.
_EXAMPLES = frozenset({"a long random text, better made than thought up"})


@shown_half_built
class Keyring:
    """One secret, or several with the newest first.

    A secret is text or bytes of at least 32 characters; `python -m sessionware secret` prints a good one. Raises
    `ConfigError` if a secret is missing, short or easy to guess: made of fewer than 8 different characters, or with
    fewer than 22 that neither repeat what came before nor continue a row of the keyboard or a usual word.
    """

    def __init__(self, secret: str | bytes | Sequence[str | bytes]) -> None:
        given = Hidden(_listed(secret))
        del secret
        if given.value in ([], [None]):
            raise _config_error("no secret was given")
        self._secrets = tuple(map(_checked, map(Hidden, given.value)))

    def __repr__(self) -> str:
        """How many secrets there are, without showing any."""
        return f"<Keyring of {len(self._secrets)}>"


def _listed(secret: object) -> list[object]:
    is_one = isinstance(secret, (str, bytes)) or not isinstance(secret, Sequence)
    return [secret] if is_one else list(secret)  # type: ignore[call-overload]


def _checked(secret: Hidden[object]) -> bytes:
    if not isinstance(secret.value, (str, bytes)):
        raise _config_error(f"a secret must be text or bytes, not {type(secret.value).__name__}")
    if len(secret.value) < _MIN_CHARACTERS:
        raise _config_error(f"the secret has {len(secret.value)} characters")
    _check_variety(Hidden(secret.value if isinstance(secret.value, str) else secret.value.decode("latin-1")))
    try:
        return secret.value.encode() if isinstance(secret.value, str) else secret.value
    except UnicodeEncodeError:
        raise _config_error("the secret has characters that are not text") from None


def _check_variety(secret: Hidden[str]) -> None:
    if secret.value.strip() in _EXAMPLES:
        raise _config_error("the secret is an example from a manual, which everybody can read")
    if len(set(secret.value)) < _MIN_DISTINCT_CHARACTERS:
        raise _config_error(f"the secret has fewer than {_MIN_DISTINCT_CHARACTERS} different characters")
    if _surprises(secret.value.lower()) < _MIN_SURPRISES:
        raise _config_error("the secret is easy to guess, made of repetitions, keyboard rows and usual words")


def _surprises(secret: str) -> int:
    """How many characters do not end a run of three that came before, here or in what is expected of a poor secret."""
    text = f"{_EXPECTED}\n{secret}"
    return sum(text[end - 3 : end] not in text[: end - 1] for end in range(len(_EXPECTED) + 2, len(text) + 1))


def _config_error(problem: str) -> ConfigError:
    return ConfigError(
        f"{problem}: the secret must be at least {_MIN_CHARACTERS} random characters. "
        "Make one with `python -m sessionware secret --file session-secret`, keep it out of the source code, and pass "
        'it in as secret=Path("session-secret").read_text().splitlines().'
    )
