"""Which repositories an entry of the rules, or of the allow-list, is about: `owner/name`, a glob, or a regex."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase

LONGEST_NAME = 200
"""Longer names are nobody's (GitHub's have at most 140 characters) and fit nothing, so that no regex sees them."""

_WILD = re.compile(r"[*?\[]")


def fits(repo: str, glob: str) -> bool:
    """Whether `owner/name` fits a glob in which `*` stops at no `/`. Case does not matter in repositories' names."""
    return len(repo) <= LONGEST_NAME and fnmatchcase(repo.lower(), glob.lower())


@dataclass(frozen=True, slots=True)
class AllowList:
    """The repositories that prbot is for: `owner/name`s and globs."""

    globs: tuple[str, ...]

    def __call__(self, repo: str) -> bool:
        """Whether a repository is on the list."""
        return any(fits(repo, glob) for glob in self.globs)

    @property
    def named(self) -> tuple[str, ...]:
        """Those that are named exactly."""
        return tuple(glob for glob in self.globs if not _WILD.search(glob))

    @property
    def is_open(self) -> bool:
        """Whether others may be on it as well, that only the forge can name."""
        return any(map(_WILD.search, self.globs))


@dataclass(frozen=True, slots=True)
class RepoPattern:
    """One way to name repositories, as it was written."""

    text: str
    regex: re.Pattern[str] | None = None
    """Set where the text is a regex; else it is a glob, of which an exact name is the simplest kind."""

    @classmethod
    def parse(cls, text: str) -> RepoPattern:
        """`acme/infra`, `acme/*`, or a regex between slashes such as `/^acme\\/(infra|net)$/`, which must match the
        whole name. ValueError, which says what is wrong and what is allowed."""
        if len(text) > 1 and text.startswith("/") and text.endswith("/"):
            return cls(text, _compiled(text[1:-1]))
        owner, slash, name = text.partition("/")
        if not (owner and slash and name) or "/" in name or any(each.isspace() for each in text):
            raise ValueError(
                "expected owner/name, a glob such as acme/*, or a regex between slashes such as /^acme\\/(infra|net)$/"
            )
        return cls(text)

    def fits(self, repo: str) -> bool:
        """Whether a repository's `owner/name` is meant."""
        if self.regex is None:
            return fits(repo, self.text)
        return len(repo) <= LONGEST_NAME and self.regex.fullmatch(repo) is not None


def _compiled(body: str) -> re.Pattern[str]:
    if not body:
        raise ValueError("an empty regex; write one between the slashes, such as /acme\\/.*/")
    try:
        return re.compile(body, re.IGNORECASE | re.ASCII)
    except re.error as wrong:
        where = "" if wrong.pos is None else f", at its character {wrong.pos + 1}"
        raise ValueError(f"not a regex{where}: {wrong.msg}") from None
