"""Who else can get at what is stored: a warning for files and directories that were there already."""

from __future__ import annotations

import logging
import os
import shlex
import stat
from pathlib import Path

_logger = logging.getLogger("sessionware")
_given: set[str] = set()

#: Where "another user" has no meaning (Windows), there is nothing to look at.
_HAS_USERS = hasattr(os, "geteuid")


def warn_of_others(path: Path, *, mode: int, may_root_share: bool = False) -> None:
    """Log a warning, once, if somebody else can do with `path` what `mode` does not allow, or owns it.

    With `may_root_share`, root may work in what belongs to somebody else, as in a container where a home is mounted.
    """
    if not _HAS_USERS:
        return
    status, me = path.stat(), os.geteuid()
    problems, commands, hint = [], [], ""
    if status.st_uid not in (me, 0) and not (may_root_share and me == 0):
        problems.append(f"belongs to another user (uid {status.st_uid})")
        if me == 0:  # a file that is given to root locks the site out
            hint = " Do this as that user, and not as root."
        else:
            commands.append(f"chown {me} {shlex.quote(str(path))}")
    actual = stat.S_IMODE(status.st_mode)
    if actual & 0o777 & ~mode and not actual & stat.S_ISVTX:  # in /tmp and the like, nobody touches another's files
        problems.append(f"is open to other users (mode {actual:04o})")
        commands.append(f"chmod {actual & mode:o} {shlex.quote(str(path))}")
    if problems:
        advice = f" Run: {' && '.join(commands)}" if commands else ""
        _warn(f"{str(path)!r} {' and '.join(problems)}.{hint}{advice}")


def _warn(text: str) -> None:
    if text not in _given:
        _given.add(text)
        _logger.warning(text)
