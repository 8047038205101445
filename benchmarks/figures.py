"""Questions that tables and charts ask of the micro figures."""

from __future__ import annotations

from typing import Any

from .micro import FLOORS

STORES = ("memory", "file", "sqlite")

#: How each store's own default subject is called by those who have one.
DEFAULTS = {
    "beaker": {"memory": "beaker-memory", "file": "beaker-file", "sqlite": "beaker-sqla"},
    "django": {"memory": "django-locmem", "file": "django-file", "sqlite": "django-db"},
}

#: They answer reads from their process's memory, whatever store is behind.
_CACHES = {"django-cached-db"}

Row = dict[str, Any]


class Micro:
    """The rows of the micro measurement."""

    def __init__(self, rows: list[Row]) -> None:
        self._rows = rows
        self._by_cell = {(row["subject"], row["scenario"]): row for row in rows}

    def row(self, subject: str, letter: str) -> Row | None:
        return self._by_cell.get((subject, letter))

    def names(self, *kinds: str) -> list[str]:
        """The subjects of these kinds, by kind and then by store."""
        found = {row["subject"]: row for row in self._rows if row["kind"] in kinds}
        order = [*STORES, "cookie", "none"]
        return sorted(found, key=lambda name: (kinds.index(found[name]["kind"]), order.index(found[name]["store"])))

    def is_default(self, subject: str) -> bool:
        return bool(self._any(subject)["is_default"])

    def store(self, subject: str) -> str:
        return str(self._any(subject)["store"])

    def _any(self, subject: str) -> Row:
        return next(row for row in self._rows if row["subject"] == subject)

    def ours(self, store: str, letter: str) -> float | None:
        return self.cost(f"sessionware-{store}", letter)

    def cost(self, subject: str, letter: str) -> float | None:
        row = self.row(subject, letter)
        return None if row is None else float(row["cost_us"])

    def floor(self, store: str, letter: str) -> float | None:
        """The store's floor. For `modify`, which floors lack, it is that of counting."""
        return self.cost(FLOORS[store], "D" if letter == "M" else letter)

    def times_floor(self, store: str, letter: str) -> float | None:
        """How many times the floor ours costs: the median of pairs, and so not the quotient of two medians."""
        return self.ratio(f"sessionware-{store}", letter)

    def ratio(self, subject: str, letter: str) -> float | None:
        """How many times what it is compared with (`micro.compared_with`) the subject costs; None for what is noise."""
        ratio = (self.row(subject, letter) or {}).get("ratio")
        return ratio if ratio and ratio > 0 else None

    def fastest(self, store: str, letter: str) -> Row | None:
        """The fastest peer in any configuration that asks the store, of those whose cost stands out from the noise."""
        asking = [row for row in self._at("peer", store, letter) if row["subject"] not in _CACHES]
        certain = [row for row in asking if row["cost_spread_us"][0] > 0]
        return min(certain, key=lambda row: float(row["cost_us"]), default=None)

    def default_of(self, family: str, store: str, letter: str) -> float | None:
        """What the family's store costs as it comes."""
        return self.cost(DEFAULTS[family][store], letter)

    def faster_than(self, family: str, store: str, letter: str) -> float | None:
        """How many times what ours costs the family's store costs as it comes."""
        return self.ratio(DEFAULTS[family][store], letter)

    def _at(self, kind: str, store: str, letter: str) -> list[Row]:
        return [row for row in self._rows if (row["kind"], row["store"], row["scenario"]) == (kind, store, letter)]
