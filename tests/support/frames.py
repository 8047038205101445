"""What an error reporter shows of the library's frames: their local variables, as Sentry keeps them."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from pathlib import Path

import sessionware

_LIBRARY = str(Path(sessionware.__file__).parent)


def frames_that_show(text: str, error: BaseException) -> list[str]:
    """The library's frames with a local variable that shows the text, each as "file:function shows name"."""
    return [
        f"{Path(frame.filename).name}:{frame.name} shows {name}"
        for frame in _frames_of(error)
        for name, value in (frame.locals or {}).items()
        if text in value
    ]


def _frames_of(error: BaseException) -> Iterator[traceback.FrameSummary]:
    """Those of the error and of what led to it."""
    told: traceback.TracebackException | None = traceback.TracebackException.from_exception(error, capture_locals=True)
    while told is not None:
        yield from (frame for frame in told.stack if frame.filename.startswith(_LIBRARY))
        told = told.__cause__ or (None if told.__suppress_context__ else told.__context__)
