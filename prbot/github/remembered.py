"""Lists that are asked for again and again: while one stays as it is, GitHub says just that, and it costs nothing.

See https://docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api#use-conditional-requests.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from prbot.github.transport import Transport

T = TypeVar("T")
Key = tuple[str, str, frozenset[tuple[str, str]]]

MOST_KEPT = 2000
"""Pages; whichever was not asked for the longest time is forgotten first."""


@dataclass(frozen=True, slots=True)
class _Kept(Generic[T]):
    etag: str
    items: list[T]
    following: str | None


class RememberedLists(Generic[T]):
    """Keeps what was made of each page, and not the page: documents are large. Safe to use from many threads.

    `mapping` makes the items of a page from GitHub's documents.
    """

    def __init__(self, github: Transport, mapping: Callable[[list[Any]], list[T]], most: int = MOST_KEPT) -> None:
        self._github, self._mapping, self._most = github, mapping, most
        self._kept: OrderedDict[Key, _Kept[T]] = OrderedDict()
        self._lock = threading.Lock()

    def pages(self, route: str, repo: str, query: Mapping[str, str]) -> Iterator[list[T]]:
        """The pages of a list as it is now, each asked for when it is wanted. Raises Unavailable's kinds."""
        address: str | None = ""
        while address is not None:
            page = self._page(route, repo, address, {} if address else query)
            yield page.items
            address = page.following

    def _page(self, route: str, repo: str, address: str, query: Mapping[str, str]) -> _Kept[T]:
        key = (repo, address, frozenset(query.items()))
        with self._lock:
            known = self._kept.get(key, _Kept("", [], None))
        found = self._github.page(route, repo, address, query, known.etag)
        page = known if found is None else _Kept(found.etag, self._mapping(found.items), found.following)
        with self._lock:
            self._kept[key] = page
            self._kept.move_to_end(key)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return page
