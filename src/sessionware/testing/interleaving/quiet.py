"""What the checker does is not the log's business."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from threading import get_ident


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what this thread does out of the log. Other threads log as always."""
    logger, me = logging.getLogger("sessionware"), get_ident()

    def is_of_another(record: logging.LogRecord) -> bool:
        return record.thread != me

    logger.addFilter(is_of_another)
    try:
        yield
    finally:
        logger.removeFilter(is_of_another)
