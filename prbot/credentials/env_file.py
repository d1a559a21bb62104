r"""The environment file of a phase: what the engine's processes of that phase get, and nothing else.

One `NAME=value` a line. `export ` before a name, blank lines and `#` comments are allowed. A value is taken as it is up
to the end of the line or a ` #`; or in single quotes, literally; or in double quotes, where `\n`, `\t`, `\"` and `\\`
are escapes. Nothing is expanded. Messages name the file, the line and the variable, never a value.
"""

from __future__ import annotations

import re
import stat
from pathlib import Path

from prbot.ports import Conflict, NotFound

_ASSIGNMENT = re.compile(r"(?:export\s+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)=(?P<value>.*)")
_SINGLE = re.compile(r"'(?P<text>[^']*)'\s*(?:#.*)?")
_DOUBLE = re.compile(r'"(?P<text>(?:[^"\\]|\\.)*)"\s*(?:#.*)?')
_ESCAPES = {"n": "\n", "t": "\t", '"': '"', "\\": "\\"}

_OURS = "prbot sets it for each run"
_REFUSED = {
    "TF_DATA_DIR": _OURS,
    "TF_WORKSPACE": _OURS,
    "TF_INPUT": _OURS,
    "TF_IN_AUTOMATION": _OURS,
    "TMPDIR": _OURS,
    "HOME": _OURS,
    "TF_LOG_PATH": "engine logs hold secrets and would be written unmasked",
    "LD_PRELOAD": "it would put foreign code into the engine",
    "LD_AUDIT": "it would put foreign code into the engine",
}
_REFUSED_PREFIXES = {
    "TF_CLI_ARGS": "it would add arguments that nobody reviewed and no seal records",
    "PRBOT_": "prbot's own settings and secrets are not for the engine",
}


class EnvFile:
    """An environment file, read anew at each use, so that rotated credentials count at once."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> dict[str, str]:
        """The variables. NotFound if there is no such file, Conflict (`file:line: what`) if it is wrong."""
        return parse(self._text(), str(self._path))

    def warnings(self) -> list[str]:
        """What an operator should know though it stops nothing: others can read the file."""
        try:
            mode = stat.S_IMODE(self._path.stat().st_mode)
        except OSError:
            return []
        if mode & 0o077:
            return [f"{self._path} is open to others (mode {mode:04o}): it holds credentials; run chmod 600 on it"]
        return []

    def _text(self) -> str:
        try:
            return self._path.read_text(encoding="utf-8-sig")
        except FileNotFoundError:
            raise NotFound(f"{self._path}: there is no such environment file") from None
        except UnicodeDecodeError:
            raise Conflict(f"{self._path}: an environment file must be UTF-8 text") from None
        except OSError as error:
            raise Conflict(f"{self._path}: the environment file can't be read: {error.strerror}") from error


def parse(text: str, where: str) -> dict[str, str]:
    """The variables that a text sets. Conflict (`where:line: what`), which shows no value, if it is wrong."""
    variables: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        try:
            assignment = parse_line(line)
            if assignment is None:
                continue
            name, value = assignment
            check_name(name)
            if name in variables:
                raise ValueError(f"{name} is set twice")
        except ValueError as mistake:
            raise Conflict(f"{where}:{number}: {mistake}") from None
        variables[name] = value
    return variables


def parse_line(line: str) -> tuple[str, str] | None:
    """The name and value that a line sets, None for a blank line or a comment. ValueError says what is wrong."""
    text = line.strip()
    if not text or text.startswith("#"):
        return None
    match = _ASSIGNMENT.fullmatch(text)
    if match is None:
        raise ValueError("expected NAME=value")
    value = _value(match["name"], match["value"].strip())
    if "\0" in value:
        raise ValueError(f"the value of {match['name']} holds a NUL character")
    return match["name"], value


def _value(name: str, text: str) -> str:
    if not text.startswith(("'", '"')):
        return "" if text.startswith("#") else re.split(r"\s#", text, maxsplit=1)[0].rstrip()
    quoted = (_SINGLE if text[0] == "'" else _DOUBLE).fullmatch(text)
    if quoted is None:
        raise ValueError(f"the quotes around the value of {name} don't close at the end of the line")
    return quoted["text"] if text[0] == "'" else re.sub(r"\\(.)", lambda m: _escape(name, m[1]), quoted["text"])


def _escape(name: str, letter: str) -> str:
    if letter not in _ESCAPES:
        raise ValueError(f'the value of {name} holds an escape other than \\n, \\t, \\" and \\\\ (use single quotes)')
    return _ESCAPES[letter]


def check_name(name: str) -> None:
    """ValueError, which says why, for a variable that no credential may set."""
    reason = _REFUSED.get(name) or next(
        (why for start, why in _REFUSED_PREFIXES.items() if name.startswith(start)), None
    )
    if reason is not None:
        raise ValueError(f"{name} is not allowed here: {reason}")
