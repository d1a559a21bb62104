"""What people type to prbot in comments.

A command is a line whose first word is a prefix (`prbot`, in any case) or prbot's own `@login`, one command a line,
where `prbot.core.addressed` says that it speaks to prbot. Words are split as a POSIX shell does, quotes and backslashes
included, from the line as it was written, so that `modules/*` stays what it is.

Such a line is answered: as a Command, or as a CommandError that says what to type instead. The one exception is a
sentence about prbot ("prbot is great, thanks"): its first word is no command, nor close to one, and at least two plain
words follow.

`SPECS` is the one table of what there is, `prbot.core.permissions` that of who may: parsing, help and suggestions all
read these.
"""

from __future__ import annotations

import posixpath
import re
import shlex
import unicodedata
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

from prbot.core.addressed import INVISIBLE, Addressed, addressed
from prbot.core.ids import ProjectKey
from prbot.core.marks import marked
from prbot.core.other_words import meant, of_flag, of_word, of_words
from prbot.core.shell_words import Wrong, has_invisible, words_of
from prbot.core.shown import MIN_PREFIX, short_fingerprint

MOST_COMMANDS = 10
"""How many commands of one comment are read. The rest get one error together."""

MOST_WORDS = 20
"""How many words of a sentence are looked at for a command."""

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
    line: str = field(default="", compare=False)

    def to_line(self, prefix: str = "prbot") -> str:
        """A line that parses back to this command."""
        words = [*self.name.split(), *self.args]
        for flag in FLAGS:
            value = getattr(self, flag.fills)
            if flag.value:
                values = (value,) if isinstance(value, str) else value or ()
                words += [word for each in values for word in _with_flag(flag, each)]
            elif value:
                words.append(flag.names[0])
        if self.extra_args:
            words += ["--", *self.extra_args]
        return f"{prefix} {shlex.join(words)}"


def _with_flag(flag: Flag, value: str) -> tuple[str, ...]:
    """A flag and its value, so that the value is taken for one whatever it begins with."""
    if flag is DIR and re.match(r"~|[A-Za-z]:", value):
        value = f"./{value}"
    return (f"{flag.names[0]}={value}",) if value[:1] in DASHES else (flag.names[0], value)


def to_paste(name: str, project: ProjectKey, prefix: str = "prbot", args: tuple[str, ...] = ()) -> str:
    """The line by which a command is given for one project, whatever its directory is called: what nobody could type,
    or a page would not show as it is, is a `?`."""
    shown = re.sub(r"\\|(?<=\s)\s|[^\S ]", "?", project.dir)
    shown = "".join("?" if unicodedata.category(char) in INVISIBLE else char for char in shown)
    workspace = None if project.workspace == "default" else project.workspace
    return Command(name, dirs=(shown,), workspace=workspace, args=args).to_line(prefix)


def approving(plans: Sequence[tuple[ProjectKey, str]], prefix: str = "prbot") -> list[str]:
    """The lines that approve plans, given as projects and fingerprints. Where two do the same and so have one
    fingerprint, the directory tells which is meant."""
    prints = [short_fingerprint(fingerprint) for _, fingerprint in plans]
    return [
        to_paste("approve", project, prefix, (short,)) if prints.count(short) > 1 else f"{prefix} approve {short}"
        for (project, _), short in zip(plans, prints, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class CommandError:
    """A line that speaks to prbot and cannot be followed. `problem` and `hint` are sentences for people, in which
    backticks mark what is typed; they repeat parts of `line`, which is anybody's text."""

    line: str
    problem: str
    hint: str


# -- what a value may be ----------------------------------------------------------------------------------------------
def _directory(value: str) -> str:
    rest = "Name a directory as it is in the repository, such as `-d net/prod` or `-d 'net/*'`; the root is `-d .`."
    if value.startswith(("/", "~")) or "\\" in value or re.match(r"[A-Za-z]:", value):
        raise Wrong(f"{_quoted(value)} is not a path inside the repository.", rest)
    if ".." in value.split("/") and re.search(r"[*?\[]", value):
        raise Wrong(f"{_quoted(value)} mixes `..` with a glob.", rest)
    path = posixpath.normpath(value)
    if path.split("/")[0] == "..":
        raise Wrong(f"{_quoted(value)} leads out of the repository.", rest)
    return path


def _workspace(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,89}", value):
        hint = "It begins with a letter, a digit or `_`, and goes on with these, `.` and `-`: 90 at most."
        raise Wrong(f"{_quoted(value)} cannot be a workspace's name.", hint)
    return value


def _any_word(value: str) -> str:
    return value


def _fingerprint(value: str) -> str:
    if not re.fullmatch(rf"[0-9a-fA-F]{{{MIN_PREFIX},64}}", value):
        raise Wrong(
            f"{_quoted(value)} is not the beginning of a fingerprint.",
            f"Give at least its first {MIN_PREFIX} characters, as the plan comment shows it: digits and `a` to `f`.",
        )
    return value.lower()


# -- the table --------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Flag:
    """One option of commands. Without `value` it is a switch."""

    names: tuple[str, ...]
    fills: Literal["dirs", "workspace", "projects", "verbose"]
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

FLAGS = (DIR, WORKSPACE, PROJECT, VERBOSE)
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
    """A command: its name (one word or more), what it does, and what it takes."""

    name: str
    help: str
    flags: tuple[Flag, ...] = ()
    args: Args = Args()
    extra_args: bool = False


SPECS: tuple[Spec, ...] = (
    Spec("plan", "Plan again: every affected project, or the named ones.", (*_CHOICE, VERBOSE), extra_args=True),
    Spec("apply", "Apply what was approved, once it is merged; before that, say what is missing.", _CHOICE),
    Spec("approve", "Approve the plan whose fingerprint begins so; without one, the only plan that waits.",
         _CHOICE, Args("[FINGERPRINT]", most=1, check=_fingerprint)),
    Spec("unlock", "Give up this pull request's locks, so that the next one in the queue gets its turn; once it is "
         "merged, give up what is not applied.", _CHOICE),
    Spec("cancel", "Stop what is running or queued here.", _CHOICE),
    Spec("forget", "List an orphaned project no more, whose directory was removed; what it made stays as it is.",
         _CHOICE),
    Spec("version", "Show the versions of prbot and of the engine."),
    Spec("help", "Show this."),
)  # fmt: skip


# -- reading ----------------------------------------------------------------------------------------------------------
def parse(
    body: str, prefixes: Sequence[str] = ("prbot",), bot: str | None = None, *, specs: Sequence[Spec] = SPECS
) -> list[Command | CommandError]:
    """The commands of a comment, in order. Never raises. An empty list: the comment does not speak to prbot.

    `bot` is the login that prbot speaks as, with or without GitHub's `[bot]`, so that `@login plan` works too.
    """
    if len(body) > LONGEST_BODY:
        if not any(prefix.casefold() in body.casefold() for prefix in (*prefixes, bot or prefixes[0])):
            return []
        return [CommandError("", "This comment is too long to be read for commands.", "Write them in a new comment.")]
    lines = [(each, _read(each, specs)) for each in addressed(body, prefixes, bot)[: MOST_COMMANDS + 50]]
    found = [(each, read) for each, read in lines if read is not None]
    answers = [read for _, read in found[:MOST_COMMANDS]]
    if len(found) > MOST_COMMANDS:
        problem = f"A comment may hold {MOST_COMMANDS} commands; this one has more."
        hint = "Those from here on were not read: write them again."
        answers.append(CommandError(found[MOST_COMMANDS][0].line, problem, hint))
    return answers


def _read(said: Addressed, specs: Sequence[Spec]) -> Command | CommandError | None:
    """None for a sentence that only begins with our name."""
    try:
        words = words_of(said.line if has_invisible(said.line) else said.rest)
    except Wrong as wrong:
        return None if said.not_followed else CommandError(said.line, wrong.problem, wrong.hint)
    try:
        command = _within(said, words, specs) if said.is_within else _whole(said, words, specs)
    except Wrong as wrong:
        is_about_us = said.is_title or (said.loose and _is_prose(words))
        return None if is_about_us else CommandError(said.line, wrong.problem, wrong.hint)
    if command is None or not said.not_followed:
        return command
    plainly = marked(command.to_line(said.name))
    problem = f"{said.not_followed}: it may be an example, and is not followed."
    where = "on a line of its own" if said.is_within else "after an empty line, and without any marks"
    return CommandError(said.line, problem, f"Write it {where}: {plainly}.")


def _whole(said: Addressed, words: Sequence[str], specs: Sequence[Spec]) -> Command | None:
    spec, rest = _named(said, words, specs)
    return None if spec is None else _filled(said, spec, rest)


def _within(said: Addressed, words: Sequence[str], specs: Sequence[Spec]) -> Command | None:
    """The command that a sentence asks for, which goes on after it."""
    bare = [word.rstrip("?!.,;:)") for word in words[:MOST_WORDS]]
    for length in range(len(bare), 0, -1):
        with suppress(Wrong):
            return _whole(said, bare[:length], specs)
    return None


def _is_prose(words: Sequence[str]) -> bool:
    """Whether at least three plain words follow our name: more likely a sentence than a command."""
    return len(words) > 2 and all(re.fullmatch(r"[^\W\d_]+(['-][^\W\d_]+)*[.,:;!?…)]*", word) for word in words)


def _named(said: Addressed, words: Sequence[str], specs: Sequence[Spec]) -> tuple[Spec | None, Sequence[str]]:
    """The command that the first words name, by the longest name that fits, and the words after it."""
    if together := of_words(words, said.name, known=[spec.name for spec in specs]):
        raise Wrong(*together)
    for spec in sorted(specs, key=lambda each: -len(each.name.split())):
        length = len(spec.name.split())
        if " ".join(words[:length]).lower() == spec.name:
            return spec, words[length:]
    every = f"`{said.name} help` shows what there is: {_listed(spec.name for spec in specs)}."
    if not words:
        if said.not_followed:
            return None, ()
        raise Wrong("No command was given.", every)
    elsewhere = of_word(words, said.name, known=[spec.name for spec in specs])
    if elsewhere and not _is_prose(words):
        raise Wrong(*elsewhere)
    close = meant(words[0], [spec.name for spec in specs])
    if close:
        raise Wrong(f"There is no command {_quoted(words[0])}.", f"Did you mean `{close}`? {every}")
    if _is_prose(words) or said.not_followed:
        return None, ()
    raise Wrong(f"There is no command {_quoted(words[0])}.", every)


def _filled(said: Addressed, spec: Spec, words: Sequence[str]) -> Command:
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
        flag = flags.get(name) or _unknown(said.name, word, name, spec)
        given.setdefault(flag.fills, []).append(_value(flag, name, value if equals else None, rest))
        if len(given[flag.fills]) > 1 and not flag.repeats:
            raise Wrong(f"`{name}` is given twice.", f"`{spec.name}` takes it once.")
    _count(said.name, spec, args)
    return Command(
        name=spec.name,
        dirs=tuple(dict.fromkeys(given.get("dirs", ()))),
        workspace=next(iter(given.get("workspace", ())), None),
        projects=tuple(dict.fromkeys(given.get("projects", ()))),
        verbose="verbose" in given,
        extra_args=extra,
        args=tuple(args),
        line=said.line,
    )


DASHES = "-‐‑‒–—―−"


def _straight(word: str) -> str:
    """The word, unless a keyboard's autocorrection made a long dash of its hyphens."""
    if word and word[0] in DASHES[1:]:
        name = word.lstrip(DASHES)
        better = ("-" if len(name.partition("=")[0]) == 1 else "--") + name
        raise Wrong(f"{_quoted(word)} begins with a typographic dash.", f"Type plain hyphens: {_quoted(better)}.")
    return word


def _value(flag: Flag, name: str, attached: str | None, rest: deque[str]) -> str:
    """The checked value of a flag, taken from `rest` where it does not hang on the flag; `` for a switch."""
    if not flag.value:
        if attached is not None:
            raise Wrong(f"`{name}` takes no value.", f"Write just `{name}`.")
        return ""
    example = f"Write `{name} {flag.value}`."
    value = attached if attached is not None else rest.popleft() if rest and rest[0] != "--" else ""
    if not value:
        raise Wrong(f"`{name}` needs a value.", example)
    if attached is None and value[0] in DASHES:
        as_value = marked(shlex.quote(f"{name}={value}"))
        hint = f"{example} If that is how a name begins, write {as_value}."
        raise Wrong(f"`{name}` needs a value, and {_quoted(value)} begins with a hyphen.", hint)
    return flag.check(value)


def _unknown(prefix: str, word: str, name: str, spec: Spec) -> Flag:
    valid = [each for flag in spec.flags for each in flag.names]
    elsewhere = of_flag(word, prefix)
    if elsewhere:
        raise Wrong(*elsewhere)
    other = name == "--" or any(name in flag.names for flag in FLAGS)
    problem = f"`{spec.name}` does not take `{name}`." if other else f"There is no flag {_quoted(name)}."
    if not valid:
        raise Wrong(problem, f"`{spec.name}` takes no flags.")
    close = "" if other else meant(name, valid)
    raise Wrong(problem, f"{f'Did you mean `{close}`? ' if close else ''}`{spec.name}` takes {_listed(valid)}.")


def _count(typed: str, spec: Spec, args: Sequence[str]) -> None:
    if spec.args.least <= len(args) <= spec.args.most:
        return
    usage = " ".join(filter(None, (typed, spec.name, spec.args.shown)))
    if len(args) < spec.args.least:
        raise Wrong(f"`{spec.name}` needs more than that.", f"Write `{usage}`.")
    dirs = f" A directory is named with `-d`: `{typed} {spec.name} -d DIR`." if DIR in spec.flags else ""
    if spec.args.most:
        words = "one word" if spec.args.most == 1 else f"at most {spec.args.most} words"
        raise Wrong(f"`{spec.name}` takes {words}.", f"Write `{usage}`, once for each.")
    raise Wrong(f"`{spec.name}` does not take {_quoted(args[0])}.", f"Write just `{usage}`.{dirs}")


def _quoted(word: str) -> str:
    return marked(word if len(word) <= 60 else word[:60] + "…")


def _listed(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)
