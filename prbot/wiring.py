"""The composition root: the only place that picks implementations, from the settings."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import threading
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from prbot import __version__
from prbot.audit.keys import AuditKeys, VerifierKey
from prbot.audit.log import AuditLog
from prbot.core.ids import NewId
from prbot.core.redact import Redactor
from prbot.core.repo_patterns import AllowList
from prbot.core.secret_values import secret_values
from prbot.credentials.env_file import EnvFile
from prbot.credentials.reader import CredentialReader
from prbot.flows import janitor, rule_changes
from prbot.flows.services import Identity, Places, Services, Webhook
from prbot.flows.work import work
from prbot.git.mirrors import GitMirrors
from prbot.github import payloads, signature
from prbot.github.app import AppKey, AppTokens
from prbot.github.app_forge import GitHubAppForge
from prbot.github.auth import StaticToken, TokenFile, TokenSource
from prbot.github.client import GitHubForge
from prbot.github.connections import Connections
from prbot.jobs.embedded import EmbeddedJobs
from prbot.logs import configure_logging
from prbot.machine import SortableIds, SystemClock
from prbot.plans.local import LocalPlanStore
from prbot.plans.sealing import EncryptedPlanStore, Keyring
from prbot.ports import Clock, Unavailable
from prbot.rules_file import RulesFile
from prbot.settings import Settings, WrongSettings, load
from prbot.store.database import Database
from prbot.store.migrate import upgrade
from prbot.terraform.engine import TerraformEngine
from prbot.terraform.isolation import Bubblewrap, Isolation, Unconfined, made_up_etc, too_much_in_sight
from prbot.terraform.module_access import ModuleAccess, base_url
from prbot.terraform.network import PrivateNetwork
from prbot.web import create_web_app

CONFIG = "PRBOT_CONFIG"
"""The environment variable by which `prbot serve --config` tells its processes the settings file."""
AUDIT_ORIGIN = "prbot"
"""The name of the log that the key made at the first start signs."""
DRAIN_SECONDS = 3 * 3600.0
"""How long a stopping worker waits for the engine processes that it runs; longer than an apply may take by default."""

_LONGEST_SOCKET_PATH = 107
_SOCKET_NAME = 30
"""Bytes that a worker's socket adds to its directory's path."""


class OwnSecrets:
    """What prbot itself holds and must never show, read anew each time: tokens and credentials are rotated."""

    def __init__(self, settings: Settings, tokens: Iterable[TokenSource], environments: Iterable[EnvFile]) -> None:
        self._read = frozenset(settings.webhook_secrets)
        self._tokens = tuple(tokens)
        self._environments = tuple(environments)
        self._made: tuple[frozenset[str], Redactor] = (frozenset(), Redactor())

    def __call__(self) -> Redactor:
        # What was a secret a moment ago may still be on its way to a log.
        self._read |= frozenset(self._now())
        known = self._read.union(*(source.held() for source in self._tokens))
        made = self._made
        if made[0] != known:
            made = (known, Redactor(known))
            self._made = made
        return made[1]

    def _now(self) -> Iterable[str]:
        for each in self._environments:
            with contextlib.suppress(Unavailable):
                yield from secret_values(each.read())


# -- building ---------------------------------------------------------------------------------------------------------
def read_settings(config: Path | None = None) -> Settings:
    """The settings from the environment and from `config`, else from the file that `PRBOT_CONFIG` names."""
    environ = {name: value for name, value in os.environ.items() if name != CONFIG}
    named = os.environ.get(CONFIG)
    return load(config or (Path(named) if named else None), environ)


def build(settings: Settings, *, clock: Clock | None = None, new_id: NewId | None = None, **overrides: Any) -> Services:
    """Everything that the flows need, ready for use; the data directory, keys and tables are made where need be.

    `overrides` are fields of Services. Raises WrongSettings with a line for each problem that the operator must solve.
    """
    rules = RulesFile(settings.rules)
    data = settings.data_dir.absolute()
    make_private(data)
    clock, new_id = clock or SystemClock(), new_id or SortableIds()
    try:
        keyring = _keyring(settings)
        audit_keys = _audit_keys(settings)
        forge, tokens = _github(settings)
        plan_env, apply_env = _environment_files(settings)
        module_token = TokenFile(settings.module_token_file) if settings.module_token_file is not None else None
    except (Unavailable, ValueError) as problem:
        raise WrongSettings(str(problem)) from problem
    db = _database(settings)
    worker = f"{os.getpid()}-{secrets.token_hex(6)}"
    services = Services(
        db=db,
        forge=forge,
        git=GitMirrors(data / "git", ca_file=settings.ca_file),
        engine=TerraformEngine(
            settings.engine,
            provider_cache=settings.provider_cache.absolute() if settings.provider_cache is not None else None,
            isolation=isolation_for(settings),
            modules=_module_access(settings, module_token),
        ),
        plans=EncryptedPlanStore(LocalPlanStore(settings.plans.absolute()), keyring),
        jobs=_jobs(settings, db, new_id, worker),
        audit=AuditLog(db, audit_keys, clock=clock, new_id=new_id),
        clock=clock,
        new_id=new_id,
        identity=Identity(worker, settings.command_prefix, settings.public_url, __version__),
        credentials=CredentialReader(plan_env, apply_env),
        places=Places(scratch=data / "scratch"),
        webhooks={"github": Webhook(partial(signature.verify, settings.webhook_secrets), payloads.parse)},
        rules=rules,
        allowed=AllowList(settings.repo_allowlist),
        fingerprint_key=keyring.fingerprint_key,
        secrets=OwnSecrets(
            settings,
            (each for each in (tokens, module_token) if each is not None),
            (each for each in (plan_env, apply_env) if each is not None),
        ),
        parallel=settings.parallel,
        reconcile_seconds=float(settings.reconcile_seconds),
    )
    return replace(services, **overrides) if overrides else services


def open_forge(settings: Settings) -> GitHubForge:
    """The forge alone, for commands that only look at it. WrongSettings, Unavailable or ValueError without a token."""
    return _github(settings)[0]


def check_engine(services: Services) -> str:
    """The engine's name and version. WrongSettings, with what to do, if there is none, it is too old, or its processes
    cannot be isolated as the settings ask."""
    try:
        found = services.engine.version()
    except Unavailable as problem:
        raise WrongSettings(f"PRBOT_ENGINE: {problem}") from problem
    try:
        services.engine.isolation()
    except Unavailable as problem:
        raise WrongSettings(f"PRBOT_ISOLATION: {problem}") from problem
    return f"{found.product} {found.version}"


def create_app(services: Services | None = None) -> Flask:
    """The web application; without `services` (gunicorn calls it so) everything is built from the settings."""
    if services is None:
        settings = read_settings()
        services = build(settings)
        configure_logging(settings.log_format, settings.log_level, services.secrets)
    return create_web_app(services)


def open_database(config: Path | None = None) -> Database:
    """The database, for commands that only look at it. WrongSettings if there is none yet."""
    settings = read_settings(config)
    if settings.database.startswith("sqlite:///") and not Path(settings.database.removeprefix("sqlite:///")).is_file():
        raise WrongSettings(f"{settings.database}: there is no database yet; `prbot serve` or `prbot migrate` makes it")
    return Database(settings.database)


def audit_public_keys(config: Path | None = None) -> tuple[VerifierKey, ...]:
    """The public keys that the audit log's checkpoints are signed with."""
    settings = read_settings(config)
    try:
        return AuditKeys.load(settings.audit_key_file or settings.data_dir.absolute() / "audit.key").verifiers
    except Unavailable as problem:
        raise WrongSettings(str(problem)) from problem


def reload_rules(services: Services) -> bool:
    """Have what the rules file says now in force, or keep what is when that is wrong; both are put on record."""
    try:
        found = services.rules.read()
    except WrongSettings as wrong:
        rule_changes.refused(services, str(wrong))
        return False
    rule_changes.loaded(services, found)
    return True


def reload_when_told(services: Services, reload: threading.Event) -> None:
    """Load the rules anew each time the event is set, in a thread that ends with the process."""

    def wait() -> None:
        while reload.wait():
            reload.clear()
            try:
                reload_rules(services)
            except Exception:  # the database, say: the rules stay as they are, and the next signal tries again
                structlog.get_logger(__name__).exception("rules.not_reloaded")

    threading.Thread(target=wait, name="reload", daemon=True).start()


def run_worker(services: Services, stop: threading.Event, drain_seconds: float = DRAIN_SECONDS) -> bool:
    """Work until `stop` is set, then begin nothing more and finish what runs. False if something ran on after that."""
    log = structlog.get_logger(__name__)
    janitor.started(services)
    services.jobs.start(work(services), on_abort=services.running.cancel, on_sweep=lambda: janitor.sweep(services))
    log.info(
        "worker.started",
        worker=services.identity.worker,
        engine=check_engine(services),
        isolation=services.engine.isolation(),
    )
    try:
        stop.wait()
        log.info("worker.draining", runs=sorted(services.running.ids()))
        done = services.jobs.drain(drain_seconds)
    finally:
        services.running.stopping.set()
        services.jobs.stop()
    log.info("worker.stopped", finished=done)
    return done


def migrate(settings: Settings) -> None:
    """Bring the database to this version's tables. WrongSettings if it cannot be used."""
    make_private(settings.data_dir.absolute())
    _database(settings).close()


# -- parts ------------------------------------------------------------------------------------------------------------
def _database(settings: Settings) -> Database:
    db = Database(settings.database)
    try:
        upgrade(db)
    except SQLAlchemyError as problem:
        said = str(getattr(problem, "orig", None) or problem)
        raise WrongSettings(f"PRBOT_DATABASE_URL: {settings.database} cannot be used: {said}") from problem
    return db


def _jobs(settings: Settings, db: Database, new_id: NewId, worker: str) -> EmbeddedJobs:
    return EmbeddedJobs(
        db, new_id, threads=settings.parallel + 4, worker=worker,
        wake_path=_wake_directory(settings.data_dir.absolute()), runs_parallel=settings.parallel,
    )  # fmt: skip


def _wake_directory(data: Path) -> Path:
    """Where workers have their sockets: in the data directory, or, as the system bounds a socket's path, elsewhere."""
    place = data / "wake"
    if len(os.fsencode(place)) + _SOCKET_NAME > _LONGEST_SOCKET_PATH:
        digest = hashlib.sha256(os.fsencode(data)).hexdigest()[:16]
        place = Path("/tmp") / f"prbot-{os.getuid()}-{digest}"  # noqa: S108  # checked below; TMPDIR may be long too
    make_private(place)
    if place.stat().st_uid != os.getuid():
        raise WrongSettings(f"PRBOT_DATA_DIR: {data} is too long a path, and {place} is somebody else's")
    return place


def _module_access(settings: Settings, token: TokenFile | None) -> ModuleAccess:
    try:
        hosts = tuple(map(base_url, settings.git_hosts))
    except ValueError as problem:
        raise WrongSettings(f"PRBOT_MODULE_HOSTS: {problem}") from None
    return ModuleAccess(partial(token.token, ""), hosts) if token is not None else ModuleAccess()


def isolation_for(settings: Settings, etc: Path | None = None) -> Isolation:
    """What keeps engine processes apart. The `/etc` that they see is made in `etc`, in the data directory by default.

    WrongSettings if they would see what they may not.
    """
    if settings.isolation == "off":
        return Unconfined()
    data = settings.data_dir.absolute()
    hidden = (data, settings.plans.absolute(), *_own_files(settings))
    for name, paths in (("READ", settings.isolation_read), ("WRITE", settings.isolation_write)):
        problem = too_much_in_sight(paths, hidden)
        if problem:
            raise WrongSettings(f"PRBOT_ISOLATION_{name}: {problem}")
    private = settings.isolation_network == "private"
    return Bubblewrap(
        made_up_etc(etc or data / "isolation" / "etc", private_network=private),
        hidden,
        PrivateNetwork() if private else None,
        settings.provider_cache.absolute() if settings.provider_cache is not None else None,
        settings.isolation_read,
        settings.isolation_write,
    )


def _own_files(settings: Settings) -> Iterator[Path]:
    """Files that the settings name and engines must not see."""
    for path in (
        settings.secret_key_file, settings.audit_key_file, settings.github_token_file, settings.github_app_key_file,
        settings.github_webhook_secret_file, settings.rules, settings.plan_env_file, settings.apply_env_file,
        settings.module_token_file,
    ):  # fmt: skip
        if path is not None:
            yield path.absolute()


def _keyring(settings: Settings) -> Keyring:
    if settings.secret_key_file is not None:
        return Keyring.load(settings.secret_key_file)
    return Keyring.create(settings.data_dir.absolute() / "secret.key")


def _audit_keys(settings: Settings) -> AuditKeys:
    if settings.audit_key_file is not None:
        return AuditKeys.load(settings.audit_key_file)
    return AuditKeys.create(settings.data_dir.absolute() / "audit.key", AUDIT_ORIGIN)


def _github(settings: Settings) -> tuple[GitHubForge, TokenSource]:
    connections = Connections(settings.github_api_url, ca_file=settings.ca_file)
    if settings.github_app_key_file is not None:
        try:
            key = AppKey(settings.github_app_id or "", settings.github_app_key_file)
        except ValueError as problem:
            raise WrongSettings(f"PRBOT_GITHUB_APP_KEY_FILE: {problem}") from None
        app = AppTokens(connections, key, SystemClock().now)
        return GitHubAppForge(connections, app), app
    tokens = _token(settings)
    return GitHubForge(connections, tokens), tokens


def _token(settings: Settings) -> TokenSource:
    if settings.github_token_file is not None:
        return TokenFile(settings.github_token_file)
    token = settings.github_token.get_secret_value() if settings.github_token else ""
    try:
        return StaticToken(token)
    except ValueError as problem:
        raise WrongSettings(f"PRBOT_GITHUB_TOKEN: {problem}") from None


def _environment_files(settings: Settings) -> tuple[EnvFile | None, EnvFile | None]:
    plan, apply = (EnvFile(path) if path is not None else None for path in settings.engine_environment_files())
    for each in (plan, apply):
        if each is None:
            continue
        each.read()
        for warning in each.warnings():
            structlog.get_logger(__name__).warning("environment.open", problem=warning)
    return plan, apply


def make_private(directory: Path) -> None:
    """Make a directory for this user alone. WrongSettings if that, or writing to it, does not work."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(directory, os.W_OK | os.X_OK):
            raise PermissionError("it cannot be written to")
    except OSError as problem:
        raise WrongSettings(f"PRBOT_DATA_DIR: {directory}: {problem.strerror or problem}") from problem
