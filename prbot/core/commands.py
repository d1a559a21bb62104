"""What people type to prbot in comments.

A command is a line whose first word is a prefix (`prbot`, in any case) or prbot's own `@login`, one command a line,
where `prbot.core.markdown` says that the author said it themselves: not in a quote, a list, a table, code, a link, an
HTML comment, a folded or a struck-out part. Words are split as a POSIX shell does, quotes and backslashes included,
from the line as it was written, so that `modules/*` stays what it is.

Such a line speaks to prbot, so it is answered: as a Command, or as a CommandError that says what to type instead. The
one exception is a sentence about prbot ("prbot is great, thanks"): its first word is no command, nor close to one, and
at least two plain words follow.

`SPECS` is the one table: parsing, help and suggestions all read it.
"""

from __future__ import annotations

import difflib
import posixpath
import re
import shlex
import unicodedata
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from prbot.core.markdown import plain_lines
from prbot.core.pulls import Role
from prbot.core.shown import MIN_PREFIX

MOST_COMMANDS = 10
"""How many commands of one comment are read. The rest get one error together."""

LONGEST_BODY = 65_536
"""A longer text, in characters, is no comment of any forge: it is refused unread."""


@dataclass(frozen=True, slots=True)
class Command:
    """What somebody asked for. `line` is how they wrote it, and takes no part in comparisons."""

    name: str
    dirs: tuple[str, ...] = ()
    """Globs over project directories: relative, normalised, never leaving the repository; `.` is its root."""
    workspace: str | None = None
    projects: tuple[str, ...] = ()
    """Globs over project names."""
    verbose: bool = False
    extra_args: tuple[str, ...] = ()
    """What came after `--`, for the engine. Not yet checked against the rules' allow-list."""
    args: tuple[str, ...] = ()
    """`approve`: the first characters of fingerprints, lower-case hexadecimal."""
    allow_destroy: bool = False
    line: str = field(default="", compare=False)

    def to_line(self, prefix: str = "prbot") -> str:
        """A line that parses back to this command."""
        words = [*self.name.split(), *self.args]
        for flag in FLAGS:
            value = getattr(self, flag.fills)
            if flag.value:
                values = (value,) if isinstance(value, str) else value or ()
                words += [word for each in values for word in (flag.names[0], each)]
            elif value:
                words.append(flag.names[0])
        if self.extra_args:
            words += ["--", *self.extra_args]
        return f"{prefix} {shlex.join(words)}"


@dataclass(frozen=True, slots=True)
class CommandError:
    """A line that speaks to prbot and cannot be followed. `problem` and `hint` are sentences for people, in which
    backticks mark what is typed; they repeat parts of `line`, which is anybody's text."""

    line: str
    problem: str
    hint: str


class _Wrong(Exception):
    """Never leaves this module: it becomes a CommandError."""

    def __init__(self, problem: str, hint: str) -> None:
        super().__init__(problem)
        self.problem, self.hint = problem, hint


# -- what a value may be ----------------------------------------------------------------------------------------------
def _directory(value: str) -> str:
    rest = "Name a directory as it is in the repository, such as `-d net/prod` or `-d 'net/*'`; the root is `-d .`."
    if value.startswith(("/", "~")) or "\\" in value or re.match(r"[A-Za-z]:", value):
        raise _Wrong(f"{_quoted(value)} is not a path inside the repository.", rest)
    if ".." in value.split("/") and re.search(r"[*?\[]", value):
        raise _Wrong(f"{_quoted(value)} mixes `..` with a glob.", rest)
    path = posixpath.normpath(value)
    if path.split("/")[0] == "..":
        raise _Wrong(f"{_quoted(value)} leads out of the repository.", rest)
    return path


def _workspace(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,89}", value):
        hint = "It begins with a letter, a digit or `_`, and goes on with these, `.` and `-`: 90 at most."
        raise _Wrong(f"{_quoted(value)} cannot be a workspace's name.", hint)
    return value


def _any_word(value: str) -> str:
    return value


def _fingerprint(value: str) -> str:
    if not re.fullmatch(rf"[0-9a-fA-F]{{{MIN_PREFIX},64}}", value):
        raise _Wrong(
            f"{_quoted(value)} is not the beginning of a fingerprint.",
            f"Give at least its first {MIN_PREFIX} characters, as the plan comment shows it: digits and `a` to `f`.",
        )
    return value.lower()


# -- the table --------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Flag:
    """One option of commands. Without `value` it is a switch."""

    names: tuple[str, ...]
    fills: Literal["dirs", "workspace", "projects", "verbose", "allow_destroy"]
    help: str
    value: str = ""
    """What its value is called in the help."""
    check: Callable[[str], str] = _any_word

    @property
    def repeats(self) -> bool:
        return self.fills in ("dirs", "projects")


DIR = Flag(("-d", "--dir"), "dirs", "only this directory; a glob such as `'net/*'`; may be repeated", "DIR", _directory)
WORKSPACE = Flag(("-w", "--workspace"), "workspace", "only this Terraform workspace", "WORKSPACE", _workspace)
PROJECT = Flag(
    ("-p", "--project"),
    "projects",
    "only the project of this name, as the plan comment shows it; a glob; may be repeated",
    "PROJECT",
)
VERBOSE = Flag(("--verbose",), "verbose", "show all that the engine printed")
ALLOW_DESTROY = Flag(("--allow-destroy",), "allow_destroy", "destroy what a removed directory left behind")

FLAGS = (DIR, WORKSPACE, PROJECT, VERBOSE, ALLOW_DESTROY)
_CHOICE = (DIR, WORKSPACE, PROJECT)


@dataclass(frozen=True, slots=True)
class Args:
    """The words that a command takes besides flags: how the help shows them, and how many there may be."""

    shown: str = ""
    least: int = 0
    most: int = 0
    check: Callable[[str], str] = _any_word


@dataclass(frozen=True, slots=True)
class Spec:
    """A command: its name (one word or more), what it does, the least role that may give it, and what it takes."""

    name: str
    help: str
    role: Role
    flags: tuple[Flag, ...] = ()
    args: Args = Args()
    extra_args: bool = False


SPECS: tuple[Spec, ...] = (
    Spec("plan", "Plan again: every affected project, or the named ones.", "write",
         (*_CHOICE, VERBOSE), extra_args=True),
    Spec("apply", "Apply what was approved, once it is merged; before that, say what is missing.", "write",
         (*_CHOICE, VERBOSE, ALLOW_DESTROY)),
    Spec("approve", "Approve the plan whose fingerprint begins so; without one, the only plan that waits.", "write",
         _CHOICE, Args("[FINGERPRINT]", most=20, check=_fingerprint)),
    Spec("unlock", "Give up this pull request's locks, so that the next one in the queue gets its turn.", "write",
         _CHOICE),
    Spec("cancel", "Stop what is running or queued here.", "write", _CHOICE),
    Spec("version", "Show the versions of prbot and of the engine.", "read"),
    Spec("help", "Show this.", "read"),
)  # fmt: skip


# -- reading ----------------------------------------------------------------------------------------------------------
def parse(
    body: str, prefixes: Sequence[str] = ("prbot",), bot: str | None = None, *, specs: Sequence[Spec] = SPECS
) -> list[Command | CommandError]:
    """The commands of a comment, in order. Never raises. An empty list: the comment does not speak to prbot.

    `bot` is the login that prbot speaks as, with or without GitHub's `[bot]`, so that `@login plan` works too.
    """
    names = {prefix.casefold() for prefix in prefixes}
    if bot:
        names.add("@" + bot.removesuffix("[bot]").casefold())
    if not any(_addresses(line, names) for line in re.split(r"\r\n?|\n", body)):
        return []
    if len(body) > LONGEST_BODY:
        return [CommandError("", "This comment is too long to be read for commands.", "Write them in a new comment.")]
    lines = [line for line in plain_lines(body) if _addresses(line, names)]
    read = [each for each in (_read(line, specs) for line in lines[:MOST_COMMANDS]) if each is not None]
    if len(lines) > MOST_COMMANDS:
        problem = f"A comment may hold {MOST_COMMANDS} commands; this one has {len(lines)}."
        read.append(CommandError(lines[MOST_COMMANDS], problem, "Those from here on were not read: write them again."))
    return read


_INVISIBLE = frozenset({"Cc", "Cf", "Zl", "Zp"})


def _addresses(line: str, names: set[str]) -> bool:
    """Whether a line's first word is one of `names`; invisible characters do not hide it."""
    visible = "".join(char for char in line[:200] if char == "\t" or unicodedata.category(char) not in _INVISIBLE)
    first = (visible.split(maxsplit=1) or [""])[0].casefold()
    return first in names or (first.startswith("@") and first.rstrip(",:") in names)


def _read(line: str, specs: Sequence[Spec]) -> Command | CommandError | None:
    """None for a sentence that only begins with our name."""
    try:
        first, *words = _words(line)
        typed = first.rstrip(",:")
        spec, rest = _named(typed, words, specs)
        return None if spec is None else _filled(line, typed, spec, rest)
    except _Wrong as wrong:
        return CommandError(line, wrong.problem, wrong.hint)


def _words(line: str) -> list[str]:
    if "\n" in line:
        raise _Wrong(
            "A command must fit on one line, and something in this one ends on a later line.",
            "Write the command alone on its line, without code marks, links or comments.",
        )
    clean = "".join(" " if unicodedata.category(char) == "Zs" or char == "\t" else char for char in line)
    for char in clean:
        if unicodedata.category(char) in _INVISIBLE or char == "\N{REPLACEMENT CHARACTER}":
            raise _Wrong(f"There is an invisible character (U+{ord(char):04X}) in this line.", "Type it anew by hand.")
        if char in "“”„‟‘’‚‛«»":
            raise _Wrong(f"There is a typographic quote ({char}) in this line.", "Use straight quotes: `'` or `\"`.")
        if char == "`":
            raise _Wrong("There is a backtick in this line.", "Write the command without code marks.")
    try:
        return shlex.split(clean)
    except ValueError as error:
        if "quot" in str(error):
            raise _Wrong("A quote is opened in this line and not closed.", "Close it on the same line.") from None
        raise _Wrong("This line ends with a backslash.", "A command is one line: leave the backslash out.") from None


def _named(typed: str, words: Sequence[str], specs: Sequence[Spec]) -> tuple[Spec | None, Sequence[str]]:
    """The command that the first words name, by the longest name that fits, and the words after it."""
    for spec in sorted(specs, key=lambda each: -len(each.name.split())):
        length = len(spec.name.split())
        if " ".join(words[:length]).lower() == spec.name:
            return spec, words[length:]
    every = f"`{typed} help` shows what there is: {_listed(spec.name for spec in specs)}."
    if not words:
        raise _Wrong("No command was given.", every)
    close = difflib.get_close_matches(words[0].lower(), [spec.name for spec in specs], n=1)
    if close:
        raise _Wrong(f"There is no command {_quoted(words[0])}.", f"Did you mean `{close[0]}`? {every}")
    if len(words) > 2 and all(re.fullmatch(r"[^\W\d_]+(['-][^\W\d_]+)*[.,:;!?…)]*", word) for word in words):
        return None, ()
    raise _Wrong(f"There is no command {_quoted(words[0])}.", every)


def _filled(line: str, typed: str, spec: Spec, words: Sequence[str]) -> Command:
    flags = {name: flag for flag in spec.flags for name in flag.names}
    given: dict[str, list[str]] = {}
    args: list[str] = []
    extra: tuple[str, ...] = ()
    rest = deque(words)
    while rest:
        word = _straight(rest.popleft())
        if word == "--" and spec.extra_args:
            extra = tuple(_straight(each) for each in rest)
            break
        if not word.startswith("-"):
            args.append(spec.args.check(word) if spec.args.most else word)
            continue
        name, equals, value = word.partition("=")
        flag = flags.get(name) or _unknown(name, spec)
        given.setdefault(flag.fills, []).append(_value(flag, name, value if equals else None, rest))
        if len(given[flag.fills]) > 1 and not flag.repeats:
            raise _Wrong(f"`{name}` is given twice.", f"`{spec.name}` takes it once.")
    _count(typed, spec, args)
    return Command(
        name=spec.name,
        dirs=tuple(dict.fromkeys(given.get("dirs", ()))),
        workspace=next(iter(given.get("workspace", ())), None),
        projects=tuple(dict.fromkeys(given.get("projects", ()))),
        verbose="verbose" in given,
        extra_args=extra,
        args=tuple(args),
        allow_destroy="allow_destroy" in given,
        line=line,
    )


def _straight(word: str) -> str:
    """The word, unless a keyboard's autocorrection made one long dash of its two hyphens."""
    if word and word[0] in "‐‑‒–—―−":
        better = "--" + word.lstrip("-‐‑‒–—―−")
        raise _Wrong(f"{_quoted(word)} begins with a typographic dash.", f"Type two hyphens: {_quoted(better)}.")
    return word


def _value(flag: Flag, name: str, attached: str | None, rest: deque[str]) -> str:
    """The checked value of a flag, taken from `rest` where it does not hang on the flag; `` for a switch."""
    if not flag.value:
        if attached is not None:
            raise _Wrong(f"`{name}` takes no value.", f"Write just `{name}`.")
        return ""
    example = f"Write `{name} {flag.value}`."
    value = attached if attached is not None else rest.popleft() if rest and rest[0] != "--" else ""
    if not value:
        raise _Wrong(f"`{name}` needs a value.", example)
    if value.startswith("-"):
        raise _Wrong(f"`{name}` needs a value, and {_quoted(value)} begins with a hyphen.", example)
    return flag.check(_straight(value))


def _unknown(name: str, spec: Spec) -> Flag:
    valid = [each for flag in spec.flags for each in flag.names]
    elsewhere = name == "--" or any(name in flag.names for flag in FLAGS)
    problem = f"`{spec.name}` does not take `{name}`." if elsewhere else f"There is no flag {_quoted(name)}."
    if not valid:
        raise _Wrong(problem, f"`{spec.name}` takes no flags.")
    close = difflib.get_close_matches(name, valid, n=1)
    meant = f"Did you mean `{close[0]}`? " if close and not elsewhere else ""
    raise _Wrong(problem, f"{meant}`{spec.name}` takes {_listed(valid)}.")


def _count(typed: str, spec: Spec, args: Sequence[str]) -> None:
    if spec.args.least <= len(args) <= spec.args.most:
        return
    usage = " ".join(filter(None, (typed, spec.name, spec.args.shown)))
    if len(args) < spec.args.least:
        raise _Wrong(f"`{spec.name}` needs more than that.", f"Write `{usage}`.")
    dirs = f" A directory is named with `-d`: `{typed} {spec.name} -d DIR`." if DIR in spec.flags else ""
    if spec.args.most:
        raise _Wrong(f"`{spec.name}` takes at most {spec.args.most} words.", f"Write `{usage}`.")
    raise _Wrong(f"`{spec.name}` does not take {_quoted(args[0])}.", f"Write just `{usage}`.{dirs}")


def _quoted(word: str) -> str:
    return f"`{word if len(word) <= 60 else word[:60] + '…'}`"


def _listed(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


# -- help -------------------------------------------------------------------------------------------------------------
def help_text(prefix: str = "prbot", *, specs: Sequence[Spec] = SPECS) -> str:
    """All commands and flags as markdown, for a comment or a page."""
    lines = ["| Command | What it does | Who may |", "|:--|:--|:--|"]
    for spec in specs:
        usage = " ".join(filter(None, (prefix, spec.name, spec.args.shown)))
        lines.append(f"| `{usage}` | {spec.help} | {spec.role} access |")
    lines += ["", "| Flag | What it does | Of |", "|:--|:--|:--|"]
    takers: Mapping[str, list[str]] = {
        flag.fills: [each.name for each in specs if flag in each.flags] for flag in FLAGS
    }
    for flag in FLAGS:
        if takers[flag.fills]:
            usage = ", ".join(f"`{name} {flag.value}`" if flag.value else f"`{name}`" for name in flag.names)
            lines.append(f"| {usage} | {flag.help} | {', '.join(takers[flag.fills])} |")
    extra = [spec.name for spec in specs if spec.extra_args]
    if extra:
        lines.append(f"| `-- ARGS` | hand these to the engine, as far as the rules allow them | {', '.join(extra)} |")
    lines += ["", "One command a line, several a comment. What stands in a quote, a list or code is not a command."]
    return "\n".join(lines)
