"""Everything that is measured. Each module knows one family; it is imported only when its subjects are asked for."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module

from .base import Subject

FAMILIES = ("ours", "floors", "beaker", "flask_session", "django_", "pyramid_")


def subjects(families: Iterable[str] = FAMILIES) -> list[Subject]:
    """The subjects of these families, each with the bare application that it is compared with."""
    found = {subject.name: subject for family in families for subject in _of(family)}
    return list(found.values())


def named(name: str) -> Subject:
    """The one subject of this name."""
    for family in FAMILIES:
        for subject in _of(family):
            if subject.name == name:
                return subject
    raise LookupError(f"no subject is called {name!r}")


def _of(family: str) -> list[Subject]:
    return list(import_module(f".{family}", __package__).SUBJECTS)
