"""`prbot init`: five questions, and the files of an installation that works."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import typer

from prbot import __version__
from prbot.core import installation
from prbot.core.installation import Answers, App, Host
from prbot.settings import WrongSettings

T = TypeVar("T")
_TOKEN_PREFIXES = ("ghp_", "github_pat_", "gho_", "ghs_", "ghu_")


@dataclass(frozen=True, slots=True)
class Questions:
    """Answers come from `given` options first; the rest is asked, or with `yes` is the default."""

    given: Mapping[str, str | None]
    yes: bool

    def ask(self, option: str, question: str, check: Callable[[str], T], default: str = "") -> T:
        """The answer, as `check` makes it of the text; its ValueError is told, and the question asked again."""
        text = self.given.get(option)
        if text is None and self.yes:
            text = default
        if text is None:
            return self._prompt(question, check, default)
        try:
            return check(text)
        except ValueError as wrong:
            raise WrongSettings(f"--{option}: {wrong}") from None

    def _prompt(self, question: str, check: Callable[[str], T], default: str) -> T:
        def read(text: str) -> T:
            try:
                return check(text.strip())
            except ValueError as wrong:
                raise typer.BadParameter(str(wrong)) from None

        answer: T = typer.prompt(question, default=default, show_default=bool(default), value_proc=read)
        return answer


def init(place: Path, given: Mapping[str, str | None], *, yes: bool) -> None:
    """Ask, write the files into `place`, and say what comes next. WrongSettings, before anything is written, if not."""
    place = place.absolute()
    _check_place(place)
    try:
        answers = _answers(place, Questions(given, yes))
    except typer.Abort:
        raise WrongSettings(
            "\nNothing was written. Without a terminal, give the answers as options with --yes: see prbot init --help"
        ) from None
    host = _host()
    written = installation.files(place, answers, host, secrets.token_hex(32))
    _make_directories(place)
    for each in written:
        _write(place / each.name, each.text, each.mode)
    if isinstance(answers.github, Path) and not answers.github.exists():
        _write(answers.github, "", 0o600)
    print(f"Wrote {', '.join(each.name for each in written)} in {place}")
    if host.uid == 0:
        print("You are root, and so prbot would run as root: make a user for it, and run prbot init as that one.")
    print(installation.next_steps(place, answers, host), end="")


def _check_place(place: Path) -> None:
    """Before anything is asked: the answers shall not have been for nothing."""
    if place.exists() and not place.is_dir():
        raise WrongSettings(f"{place} is not a directory: name one, which is made if need be")
    names = (installation.SETTINGS, installation.RULES, installation.WEBHOOK_SECRET, *installation.UNITS.values())
    there = [name for name in names if (place / name).exists()]
    if there:
        raise WrongSettings(
            f"{place} has {', '.join(there)} already, and prbot init overwrites nothing: name another directory, "
            "or move them away"
        )
    checkout = next((each for each in (place, *place.parents) if (each / ".git").exists()), None)
    if checkout is not None:
        raise WrongSettings(
            f"{place} lies in the git checkout {checkout}, where one `git add` would publish the secrets: "
            "name a directory outside, such as: prbot init ~/prbot"
        )


def _answers(place: Path, questions: Questions) -> Answers:
    ask = questions.ask
    repositories = ask("repos", "1/5 Repositories (owner/name, globs, commas between)", installation.repositories)
    public_url = ask("public-url", "2/5 Public URL, by which GitHub reaches this server", installation.public_url)
    github = _github(place, questions)
    plan = ask("plan-env-file", "4/5 Credentials of plans: a file of NAME=value lines, or none", _file_or_none, "none")
    apply = ask("apply-env-file", "    Credentials of applies", _file_or_none, str(plan or "none"))
    run_by = ask("run-by", "5/5 Run by systemd or compose", installation.run_by, "systemd")
    return Answers(repositories, public_url, github, run_by, plan, apply)


def _github(place: Path, questions: Questions) -> Path | App:
    given = questions.given
    by_options = "app" if given.get("github-app-id") or given.get("github-app-key-file") else None
    if given.get("github-token-file"):
        by_options = "token"
    if by_options is None:
        by_options = questions.ask("github", "3/5 Speak to GitHub by token or app", _kind, "token")
    if by_options == "token":
        default = str(place / "github-token")
        return questions.ask("github-token-file", "    File for the token", partial(_token_file, place), default)
    return App(
        questions.ask("github-app-id", "    The App's id", _app_id),
        questions.ask("github-app-key-file", "    The file of its private key", _file),
        questions.ask(
            "github-app-webhook-secret-file", "    The file of its webhook's secret, or new", _file_or_new, "new"
        ),
    )


def _kind(text: str) -> str:
    if text.lower() not in ("token", "app"):
        raise ValueError(f"{text!r} is not one of token, app")
    return text.lower()


def _token_file(place: Path, text: str) -> Path:
    """A file that is there, or that can be made."""
    if text.startswith(_TOKEN_PREFIXES):
        raise ValueError("this is a token, not a file. Write the token into a file, and the file's name here")
    path = Path(text).expanduser().absolute()
    if path.is_dir() or not (path.parent.is_dir() or path.parent == place):
        raise ValueError(f"{path} is no file, and cannot become one: its directory is not there")
    return path


def _file(text: str) -> Path:
    path = Path(text).expanduser().absolute()
    if not text or not path.is_file():
        raise ValueError(f"{path if text else 'nothing'} is not a file that is there")
    return path


def _file_or_new(text: str) -> Path | None:
    return None if text.lower() in ("", "new") else _file(text)


def _file_or_none(text: str) -> Path | None:
    return None if text.lower() in ("", "none") else _file(text)


def _app_id(text: str) -> str:
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"{text!r} is not an App's id, which is a number (on the App's settings page)")
    return text


def _host() -> Host:
    uid, gid = os.getuid(), os.getgid()
    program = Path(sys.executable).with_name("prbot")
    words = (str(program),) if program.is_file() else (sys.executable, "-m", "prbot")
    engine = shutil.which("terraform") or shutil.which("tofu") or ""
    return Host(words, pwd.getpwuid(uid).pw_name, uid, gid, __version__, engine)


def _make_directories(place: Path) -> None:
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        (place / installation.DATA).mkdir(mode=0o700, exist_ok=True)
    except OSError as problem:
        raise WrongSettings(f"{problem.filename}: cannot be made: {problem.strerror}") from None


def _write(path: Path, text: str, mode: int) -> None:
    """Write a file that is not there yet."""
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as problem:
        raise WrongSettings(f"{path}: cannot be written: {problem.strerror}") from None
