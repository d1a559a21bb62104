"""What the host is like: directories, files, database, engine, git, isolation."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from prbot.audit.keys import AuditKeys
from prbot.core.health import Finding, failed, ok
from prbot.core.health import machine as verdicts
from prbot.credentials.env_file import EnvFile
from prbot.git.version import version as git_version
from prbot.plans.sealing import Keyring
from prbot.ports import Unavailable
from prbot.rules_file import RulesFile
from prbot.settings import Settings, WrongSettings
from prbot.store import migrate
from prbot.store.database import Database
from prbot.terraform.engine import TerraformEngine
from prbot.wiring import isolation_for

_ENGINE = "Install Terraform 1.10 or later, or OpenTofu 1.7 or later, or set PRBOT_ENGINE to the path of one."


def examine(settings: Settings) -> Iterator[Finding]:
    """Everything that shows without asking anybody else."""
    data = settings.data_dir.absolute()
    yield _directory(data)
    yield verdicts.disk(data, shutil.disk_usage(_existing(data)).free)
    yield from _database(settings)
    yield _key("secret key", settings.secret_key_file, data / "secret.key", Keyring.load)
    yield _key("audit key", settings.audit_key_file, data / "audit.key", AuditKeys.load)
    yield from _secret_files(settings)
    yield from _environment_files(settings)
    yield _rules(settings)
    yield _engine(settings)
    yield _git()
    yield _isolation(settings)


def _directory(data: Path) -> Finding:
    check = "data directory"
    place = _existing(data)
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as problem:
        advice = f"Make it writable for this user (uid {os.getuid()}), or set PRBOT_DATA_DIR to another."
        return failed(check, f"{place} cannot be written to: {problem.strerror}", advice)
    if place != data:
        return ok(check, f"{data}: not there yet, the first start makes it")
    return verdicts.privacy(check, data, stat.S_IMODE(data.stat().st_mode))


def _existing(path: Path) -> Path:
    """The path, or the nearest directory above it that is there."""
    return next(each for each in (path, *path.parents) if each.is_dir())


def _database(settings: Settings) -> Iterator[Finding]:
    path = Path(settings.database.removeprefix("sqlite:///")).absolute()
    misplaced = verdicts.database_place(path, verdicts.file_system(path, _mounts()))
    if misplaced is not None:
        yield misplaced
    if not path.is_file():
        yield ok("database", f"{path}: not there yet, the first start makes it")
        return
    db = Database(settings.database)
    try:
        known = migrate.known_revisions()
        yield verdicts.database(path, migrate.damage(db), migrate.current(db), known[0], frozenset(known))
    except SQLAlchemyError as problem:
        said = str(getattr(problem, "orig", None) or problem)
        advice = "If it is no SQLite file, or a damaged one, restore a backup; else see who may read it, and its disk."
        yield failed("database", f"{path} cannot be used: {said}", advice)
    finally:
        db.close()


def _mounts() -> str:
    try:
        return Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _key(check: str, named: Path | None, default: Path, load: Callable[[Path], object]) -> Finding:
    path = (named or default).absolute()
    checkout = _checkout(path)
    if not path.exists() and named is None and checkout is None:
        return ok(check, f"{path}: not there yet, the first start makes it")
    if path.exists() or named is not None:
        try:
            load(path)
        except Unavailable as problem:
            advice = (
                "Put the right file there, for prbot alone (chmod 600). Without its keys, old plans cannot be read."
            )
            return failed(check, str(problem), advice)
    mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o600
    return verdicts.secret_file(check, path, mode, checkout)


def _secret_files(settings: Settings) -> Iterator[Finding]:
    """Those whose content others judge: here only how they are kept."""
    files = {
        "token file": settings.github_token_file,
        "App key file": settings.github_app_key_file,
        "webhook secret file": settings.github_webhook_secret_file,
        "module token file": settings.module_token_file,
        "plan environment": settings.plan_env_file,
        "apply environment": settings.apply_env_file,
    }
    for check, path in files.items():
        if path is not None:
            mode = stat.S_IMODE(path.stat().st_mode)
            yield verdicts.secret_file(check, path.absolute(), mode, _checkout(path.absolute()))


def _environment_files(settings: Settings) -> Iterator[Finding]:
    check = "environment files"
    plan, apply = settings.engine_environment_files()
    shared = verdicts.environments(plan, apply)
    if shared is not None:
        yield shared
    for path in dict.fromkeys(each for each in (plan, apply) if each is not None):
        try:
            EnvFile(path).read()
        except Unavailable as problem:
            yield failed(check, str(problem), "Correct that line: NAME=value, one a line.")


def _checkout(path: Path) -> Path | None:
    return next((each for each in path.parents if (each / ".git").exists()), None)


def _rules(settings: Settings) -> Finding:
    try:
        RulesFile(settings.rules)
    except WrongSettings as problem:
        return failed("rules", str(problem), "Correct these lines; docs/settings.md lists all rules.")
    if settings.rules is None:
        return ok("rules", "no rules file: the defaults hold for every repository")
    return ok("rules", f"{settings.rules}: can be read")


def _engine(settings: Settings) -> Finding:
    try:
        found = TerraformEngine(settings.engine).version()
    except Unavailable as problem:
        return failed("engine", str(problem), _ENGINE)
    return ok("engine", f"{found.product} {found.version}")


def _isolation(settings: Settings) -> Finding:
    with tempfile.TemporaryDirectory() as etc:
        try:
            keeps = isolation_for(settings, Path(etc)).check()
        except (Unavailable, WrongSettings) as problem:
            return failed("isolation", str(problem), "Do that, then run prbot doctor again: no plan runs without.")
    private = settings.isolation_network == "private"
    return verdicts.isolation(keeps, off=settings.isolation == "off", own_network=private)


def _git() -> Finding:
    try:
        return verdicts.git(git_version())
    except Unavailable as problem:
        return failed("git", str(problem), "Install git 2.39 or later where PATH finds it.")
