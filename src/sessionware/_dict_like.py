"""What a dict can do and the abstract base class cannot, or does otherwise."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from typing_extensions import Self


class DictLike(MutableMapping[str, Any]):
    """A mapping that behaves as a dict in every method and operator, but cannot be copied by `copy` or `pickle`."""

    __slots__ = ()

    def __reversed__(self) -> Iterator[str]:
        return reversed(list(self))

    def __or__(self, other: Mapping[str, Any]) -> dict[str, Any]:
        return {**self, **other} if isinstance(other, Mapping) else NotImplemented

    def __ror__(self, other: Mapping[str, Any]) -> dict[str, Any]:
        return {**other, **self} if isinstance(other, Mapping) else NotImplemented

    def __ior__(self, other: Any) -> Self:  # type: ignore[misc]  # unlike `|`, it takes pairs too
        self.update(other)
        return self

    def copy(self) -> dict[str, Any]:
        """The data, in a new plain dict."""
        return dict(self)

    def popitem(self) -> tuple[str, Any]:
        """Remove the key that was set last, and return it with its value. Raises `KeyError` if there is none."""
        for key in reversed(self):
            return key, self.pop(key)
        raise KeyError("popitem(): the session holds no data")

    @staticmethod
    def fromkeys(keys: Iterable[str], value: Any = None) -> dict[str, Any]:
        """A plain dict with these keys, as `dict.fromkeys` makes it."""
        return dict.fromkeys(keys, value)

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        # What copy and pickle ask for. A copy would be the same request's session under another name.
        raise TypeError("a session belongs to its request and cannot be copied or pickled: use session.copy(), a dict")
