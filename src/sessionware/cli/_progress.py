"""How far a command has come: on a terminal, and nowhere else."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager

#: Called with what has been done so far, all together.
Tell = Callable[[int], None]

#: Seconds between two lines, one painted over the other.
_EVERY = 0.1


@contextmanager
def progress(options: Namespace, what: str, total: int | None = None) -> Iterator[Tell]:
    """Show a counter of `what`, such as "sessions read", until the block ends.

    Nothing is shown with `--json`, without tqdm, or where standard error is not a terminal.
    """
    if options.json or not sys.stderr.isatty():
        yield lambda _done: None
        return
    try:
        from tqdm import tqdm
    except ImportError:
        yield lambda _done: None
        return
    with tqdm(desc=what, total=total, unit="", leave=False, file=sys.stderr, mininterval=_EVERY) as bar:
        yield lambda done: bar.update(done - bar.n) and None
