"""Whether the secret is the site's. With another one, a full store looks like one in which nobody is logged in."""

from __future__ import annotations

import time
from itertools import chain, islice

from .._core.envelope import Unreadable, open_record
from .._core.pages import Pages
from ..manager import SessionManager
from ._command import CommandFailed
from ._output import note

#: Ids are random, so the first ones are as good a sample as any.
_SAMPLE = 1000


def check_secret(manager: SessionManager) -> None:
    """Look at some records. Raises `CommandFailed` if the secret opens none, and notes it if it opens only some."""
    site = manager._site
    now = int(time.time())
    is_unknown = [
        open_record(site.keys.record, record, site.records.path) is Unreadable.UNKNOWN_KEY
        for record in islice(chain.from_iterable(Pages(site.records.store)), _SAMPLE)
        if record.expires_at > now
    ]
    tell_unopened(sum(is_unknown), len(is_unknown))


def tell_unopened(unopened: int, looked_at: int) -> None:
    """Raise `CommandFailed` if none of the records could be opened, and note if some could not."""
    if unopened and unopened == looked_at:
        raise CommandFailed(
            f"the secret opens none of the {looked_at} records that were looked at: it is not this site's, or the "
            "namespace is another one"
        )
    if unopened:
        note(
            f"the secret does not open {unopened} of the {looked_at} records that were looked at: they may be another "
            "site's. While a secret takes the place of another, give a file with both"
        )
