"""How many attempts are let through: the settings. `lanes` says which of them an attempt has to pass."""

from __future__ import annotations

from dataclasses import dataclass, fields

from ..._checks import shown
from ..._repr import shown_half_built
from ...errors import ConfigError

#: Tokens. A lane that holds more protects nothing.
_MOST_AT_ONCE = 10_000

#: Seconds. NIST SP 800-63B-4 §3.2.2 lets the wait between two attempts grow to an hour; here it never does.
_LONGEST_PERIOD = 3600


@shown_half_built
@dataclass(frozen=True)
class Rate:
    """So many at once, and then one every `period` seconds.

    A bucket holds `burst` tokens. Each attempt takes one, and every `period` seconds one comes back. So nobody ever
    waits longer than a period for the next token. Raises `ConfigError`.
    """

    burst: int
    period: float

    def __post_init__(self) -> None:
        burst, period = self.burst, self.period
        if isinstance(burst, bool) or not isinstance(burst, int) or not 1 <= burst <= _MOST_AT_ONCE:
            raise ConfigError(f"Rate(burst={shown(burst)}): write how many are let through at once, 1 to 10000.")
        if isinstance(period, bool) or not isinstance(period, (int, float)) or not 0.001 <= period <= _LONGEST_PERIOD:
            raise ConfigError(
                f"Rate(period={shown(period)}): write the seconds between two attempts once the burst is used up, "
                "0.001 to 3600."
            )


@dataclass(frozen=True)
class Throttle:
    """How many attempts are let through, by whom and at what. A lane that is None is off.

    Args:
        client: Passwords tried from one address (IPv6: from one /64 network). A login that succeeds gives nothing back.
        pair: Passwords tried from one address at one account.
        account: Passwords tried at one account, from anywhere. A login that succeeds gives back what it took itself.
        device: Passwords tried at one account by one browser that has logged in to it before. Such a browser does not
            take from the other lanes until this one is empty, so strangers cannot keep it out. A login that succeeds
            gives nothing back.
        register: Accounts registered from one address.
        reset: Mails asked for because of a forgotten password, from one address, and as many again for one account.

    Raises:
        ConfigError: A lane is neither a `Rate` nor None.
    """

    client: Rate | None = Rate(30, 2)
    pair: Rate | None = Rate(5, 30)
    account: Rate | None = Rate(30, 10)
    device: Rate | None = Rate(5, 30)
    register: Rate | None = Rate(5, 60)
    reset: Rate | None = Rate(5, 60)

    def __post_init__(self) -> None:
        for field in fields(self):
            rate = getattr(self, field.name)
            if rate is not None and not isinstance(rate, Rate):
                raise ConfigError(
                    f"Throttle({field.name}={shown(rate)}): write {field.name}={field.default}, or None to turn this "
                    "lane off."
                )


DEFAULT_THROTTLE = Throttle()
