"""A line of a comment as words, split as a POSIX shell does it, or what is wrong with the line."""

from __future__ import annotations

import shlex
import unicodedata
from collections.abc import Iterator

from prbot.core.addressed import INVISIBLE


class Wrong(Exception):
    """A line that cannot be followed: `problem` and `hint` are sentences for people. It becomes a CommandError."""

    def __init__(self, problem: str, hint: str) -> None:
        super().__init__(problem)
        self.problem, self.hint = problem, hint


def has_invisible(line: str) -> bool:
    """Whether a line holds characters that nobody sees."""
    return any(unicodedata.category(char) in INVISIBLE and char not in "\t\n" for char in line)


def words_of(line: str) -> list[str]:
    """The words of a line, without quotes and backslashes."""
    if "\n" in line:
        raise Wrong(
            "A command must fit on one line, and something in this one ends on a later line.",
            "Write the command alone on its line, without code marks, links or comments.",
        )
    for char in line:
        if (unicodedata.category(char) in INVISIBLE and char != "\t") or char == "\N{REPLACEMENT CHARACTER}":
            hint = "Type it anew by hand; in a directory's name, `?` stands for any character."
            raise Wrong(f"There is an invisible character (U+{ord(char):04X}) in this line.", hint)
    clean = "".join(_checked(char) if is_bare else char for char, is_bare in _quoting(line))
    try:
        return shlex.split(clean)
    except ValueError as error:
        if "quot" in str(error):
            raise Wrong("A quote is opened in this line and not closed.", "Close it on the same line.") from None
        raise Wrong("This line ends with a backslash.", "A command is one line: leave the backslash out.") from None


def _quoting(line: str) -> Iterator[tuple[str, bool]]:
    """Each character, and whether it stands outside of quotes and after no backslash, as a POSIX shell sees it."""
    quote, escaped = "", False
    for char in line:
        yield char, not quote and not escaped
        if escaped:
            escaped = False
        elif char == "\\" and quote != "'":
            escaped = True
        elif char == quote:
            quote = ""
        elif not quote and char in "'\"":
            quote = char


def _checked(char: str) -> str:
    """A character that is not quoted, every space as a plain one."""
    if char in "“”„‟‘’‚‛«»":
        raise Wrong(f"There is a typographic quote ({char}) in this line.", "Use straight quotes: `'` or `\"`.")
    if char == "`":
        hint = "Write the command without code marks; a name that holds one goes in straight quotes: `'`."
        raise Wrong("There is a backtick in this line.", hint)
    return " " if unicodedata.category(char) == "Zs" or char == "\t" else char
