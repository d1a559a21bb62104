"""Terraform or OpenTofu as prbot runs it: what each step's command line is, its environment, and how it ended."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Literal, NoReturn

from filelock import FileLock, Timeout
from python_terraform import IsFlagged, Terraform

from prbot.core.planfile import PlanUnreadable, load_plan
from prbot.core.plans import Seal, StatePosition
from prbot.ports import (
    Conflict,
    EngineVersion,
    HeldSlot,
    Limits,
    OnLine,
    PlanBasis,
    Site,
    StateLock,
    StepResult,
    Transient,
)
from prbot.terraform import evidence, process, versions
from prbot.terraform.isolation import Isolation, Unconfined
from prbot.terraform.module_access import ModuleAccess

_AFTER_SECONDS = 60.0
_NOTHING = "terraform_data.prbot_asks_who_holds_the_lock"

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class CommandLine(Terraform):  # type: ignore[misc]  # python-terraform has no types
    """python-terraform's builder of command lines, and nothing else of it: it starts no process and reads no state."""

    def __init__(self, binary: Path) -> None:
        super().__init__(terraform_bin_path=str(binary), is_env_vars_included=False)

    def build(self, step: str, *positional: str, extra: Sequence[str] = (), **options: object) -> list[str]:
        """The command line of `step`. `extra` arguments come before our own, so that ours win where both are given."""
        for value in positional:
            if value.startswith("-"):
                raise ValueError(f"{value!r} would be taken for an option")
        built: list[str] = self.generate_cmd_string(step, *positional, **options)
        program, command, *rest = built
        return [program, command, *extra, *rest]

    def cmd(self, *_: object, **__: object) -> NoReturn:
        """Disarmed, and with it every method of the base class that starts a process with its own idea of how."""
        raise TypeError("python-terraform is used for building command lines only")

    def read_state_file(self, file_path: object = None) -> None:
        """Disarmed: the base class reads the working directory's state into this process."""

    def __getattr__(self, name: str) -> NoReturn:
        """Disarmed: the base class takes any unknown attribute for a command."""
        raise AttributeError(name)


def variables_among(extra_args: Sequence[str]) -> list[str]:
    """Those of a plan's extra arguments that give variables."""
    return [each for each in extra_args if each.lstrip("-").startswith(("var=", "var-file="))]


@dataclass(frozen=True, slots=True)
class _Step:
    """A command to run. `good` are the exit codes that mean success."""

    name: Literal["init", "plan", "show", "state", "taint", "force-unlock", "apply"]
    argv: list[str]
    good: tuple[int, ...] = (0,)


class TerraformEngine:
    """`prbot.ports.Engine` on a Terraform or OpenTofu program.

    `binary` is a name on PATH or a path. `modules` is what `init` alone reads private modules with. `provider_cache` is
    shared by all inits, which then take turns, since the engine does not make that safe by itself. `lock_timeout` is
    how many seconds a step waits for the state lock.
    """

    def __init__(
        self,
        binary: str = "terraform",
        *,
        provider_cache: Path | None = None,
        lock_timeout: int = 120,
        isolation: Isolation | None = None,
        modules: ModuleAccess | None = None,
    ) -> None:
        self._binary = binary
        self._provider_cache = provider_cache
        self._lock_timeout = f"{lock_timeout}s"
        self._isolation: Isolation = isolation or Unconfined()
        self._modules = modules or ModuleAccess()
        self._known: versions.Known = {}

    def version(self) -> EngineVersion:
        """Which engine this is, asked once a binary. Conflict, with what to do, if it is missing or too old."""
        return versions.version_of(versions.find(self._binary), self._known)

    def seen_as(self, path: Path, site: Site) -> str:
        """By which path the processes of a site know one of its files."""
        return str(self._isolation.inside(path, site))

    def isolation(self) -> str:
        """What keeps its processes apart from the server, or `off`. Conflict, with what to do, if it does not work."""
        return self._isolation.check()

    def init_needed(self, site: Site) -> bool:
        """False only if the last good init in this data directory saw the same configuration, lock file and engine."""
        try:
            stamp = (site.data_dir / evidence.STAMP).read_text(encoding="utf-8")
        except OSError:
            return True
        return stamp != evidence.init_digest(site, self.version())

    def init(self, site: Site, limits: Limits, on_line: OnLine) -> StepResult:
        """Prepare the directory. Never moves state: a changed backend is taken as it is now (`-reconfigure`).

        In a workspace that does not exist yet, backends with several others refuse to initialize. There is then no
        state to learn about, so that init runs in the default workspace; the plan begins the new one.
        """
        with self._cache_turn(limits):
            step = _Step("init", self._command("init", reconfigure=IsFlagged))
            result = self._run(step, site, limits, on_line)
            if evidence.workspace_is_missing(result, site.workspace):
                on_line(f"prbot: the workspace {site.workspace} is new; initializing without it")
                again = self._run(step, replace(site, workspace="default"), limits, on_line)
                result = replace(again, output=result.output + again.output, seconds=result.seconds + again.seconds)
        if result.ok:
            digest = evidence.init_digest(site, self.version())
            (site.data_dir / evidence.STAMP).write_text(digest or "", encoding="utf-8")
        return result

    def plan(
        self,
        site: Site,
        out: Path,
        limits: Limits,
        on_line: OnLine,
        *,
        var_files: Sequence[str] = (),
        extra_args: Sequence[str] = (),
        lock: bool = True,
    ) -> StepResult:
        """Write a plan to `out`. The exit code is 0 for a plan that does nothing, 2 for one that does something."""
        argv = self._command(
            "plan",
            extra=extra_args,
            detailed_exitcode=IsFlagged,
            out=self._isolation.inside(out, site),
            var_file=list(var_files),
            **({"lock_timeout": self._lock_timeout} if lock else {"lock": False}),
        )
        return self._run_with_lock(_Step("plan", argv, good=(0, 2)), site, limits, on_line)

    def show(self, site: Site, plan_file: Path, limits: Limits) -> tuple[StepResult, dict[str, Any]]:
        """The plan as `show -json` gives it, which touches no disk and no log; `{}` unless the result is ok."""
        where = str(self._isolation.inside(plan_file, site))
        argv = self._commands().build("show", where, json=IsFlagged, no_color=IsFlagged)
        return self._document(_Step("show", argv), site, limits)

    def state(self, site: Site, limits: Limits) -> tuple[StepResult, StatePosition]:
        """Where the state is now, by `state pull`; no lineage where there is none. Its content goes nowhere."""
        result, document = self._document(_Step("state", self._commands().build("state", "pull")), site, limits)
        return result, evidence.position_of(document) if document else StatePosition(None, None)

    def lock_holder(self, site: Site, limits: Limits) -> StateLock | None:
        """Who holds the state's lock at this moment, found by trying to take it; None if nobody does."""
        # Marks nothing, since nothing is called so, and runs nothing of the configuration's. It takes the lock first.
        argv = self._commands().build("taint", _NOTHING, allow_missing=IsFlagged, no_color=IsFlagged, lock_timeout="0s")
        return evidence.state_lock(self._run(_Step("taint", argv), site, limits, lambda line: None))

    def _free_lock_of_the_killed(self, site: Site, limits: Limits, on_line: OnLine) -> None:
        """Free the state's lock if this very site's processes took it: they are gone, and nobody else is called so."""
        host = self._isolation.host(site)
        if not host:
            return
        after = Limits(threading.Event(), _AFTER_SECONDS, allowance=limits.allowance)
        holder = self.lock_holder(site, after)
        if holder is None or not holder.id or not holder.who.endswith(f"@{host}"):
            return
        argv = self._commands().build("force-unlock", holder.id, force=IsFlagged)
        if self._run(_Step("force-unlock", argv), site, after, lambda line: None).ok:
            on_line("prbot: the state's lock, which the killed command had left, was freed")

    def apply(
        self,
        site: Site,
        plan_file: Path,
        limits: Limits,
        on_line: OnLine,
        *,
        slot: HeldSlot,
        seal: Seal,
        var_files: Sequence[str] = (),
        extra_args: Sequence[str] = (),
    ) -> StepResult:
        """Apply exactly `plan_file`, whose digest must be the seal's: else Conflict, and nothing was started.

        It holds every variable that it was planned with but the ephemeral ones. Where there are such, all are given
        again, as they were: the engine takes what is equal, and knows itself which it needs.
        """
        digest = evidence.plan_digest(plan_file)
        if digest != seal.plan_file_digest:
            raise Conflict(f"the plan file is not the one that was sealed ({digest}, not {seal.plan_file_digest})")
        again = evidence.declares_ephemeral(site.dir)
        argv = self._command(
            "apply",
            str(self._isolation.inside(plan_file, site)),
            extra=variables_among(extra_args) if again else (),
            lock_timeout=self._lock_timeout,
            var_file=list(var_files) if again else [],
        )
        return self._run_with_lock(_Step("apply", argv), site, limits, on_line)

    def basis(self, site: Site, plan_file: Path, key: bytes) -> PlanBasis:
        """What `plan_file`, just made at `site`, rests on. Conflict if one of the engine's files can't be read."""
        lock_text = evidence.lock_file(site.dir)
        return PlanBasis(
            plan_file_digest=evidence.plan_digest(plan_file),
            state=evidence.state_position(plan_file),
            backend=evidence.backend_identity(site.data_dir, key),
            lock_file=lock_text,
            provider_versions=evidence.provider_versions(lock_text),
        )

    def stale(self, result: StepResult) -> bool:
        """Whether an apply did nothing because the state had moved since the plan was made."""
        return evidence.stale(result)

    def state_lock(self, result: StepResult) -> StateLock | None:
        """Who held the state lock that a step failed to get; None if it did not fail for that."""
        return evidence.state_lock(result)

    def _document(self, step: _Step, site: Site, limits: Limits) -> tuple[StepResult, dict[str, Any]]:
        """The JSON that a step prints, its numbers exact, kept off disk and logs; `{}` unless the result is ok, or for
        none at all."""
        with open(os.memfd_create(step.name), "w+b") as sink:
            result = self._run(step, site, limits, lambda line: None, stdout=sink)
            if not result.ok or not (size := sink.seek(0, os.SEEK_END)):
                return result, {}
            if size > evidence.MOST_PLAN:
                raise Conflict(f"what `{step.name}` gave is larger than {evidence.MOST_PLAN >> 20} MiB")
            sink.seek(0)
            try:
                return result, load_plan(sink.read())
            except PlanUnreadable as unreadable:
                why = f"what the engine's `{step.name}` gave cannot be read: {unreadable.problem}"
                raise Conflict(why) from unreadable

    def _commands(self) -> CommandLine:
        return CommandLine(versions.find(self._binary))

    def _command(self, step: str, *positional: str, extra: Sequence[str] = (), **options: object) -> list[str]:
        return self._commands().build(step, *positional, extra=extra, input=False, no_color=IsFlagged, **options)

    def _run_with_lock(self, step: _Step, site: Site, limits: Limits, on_line: OnLine) -> StepResult:
        result = self._run(step, site, limits, on_line)
        if result.exit_code == -signal.SIGKILL:
            self._free_lock_of_the_killed(site, limits, on_line)
        return result

    def _run(
        self, step: _Step, site: Site, limits: Limits, on_line: OnLine, *, stdout: IO[bytes] | None = None
    ) -> StepResult:
        for directory in (site.data_dir, site.tmp_dir):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        room = self._isolation.room(Path(step.argv[0]), step.name, site, limits)
        command = process.Command(step.argv, site.dir, self._environment(site, step.name), room)
        ended = process.run(command, limits, on_line, stdout=stdout)
        # An engine that was told to stop and still came to a good end has done all that it was to do: say so.
        ending = "ok" if ended.exit_code in step.good else ended.interrupted or "failed"
        return StepResult(step.name, ending, ended.exit_code, ended.output, ended.seconds)

    def _environment(self, site: Site, step: str) -> dict[str, str]:
        """All that the process sees. Ours come last, so that no environment file overrides them."""
        temporary = str(self._isolation.inside(site.tmp_dir, site))
        ours = {
            "CHECKPOINT_DISABLE": "1",
            "HOME": temporary,
            "TF_DATA_DIR": str(self._isolation.inside(site.data_dir, site)),
            "TF_INPUT": "0",
            "TF_IN_AUTOMATION": "1",
            "TF_WORKSPACE": site.workspace,
            "TMPDIR": temporary,
        }
        if step == "init":
            ours |= self._modules.environment(site.environment)
        if self._provider_cache is not None:
            ours["TF_PLUGIN_CACHE_DIR"] = str(self._isolation.inside(self._provider_cache, site))
        # GOGC: an engine lives for a moment, so that collecting garbage less often saves a sixth of its time
        return {"PATH": DEFAULT_PATH, "GOGC": "400", **site.environment, **ours}

    @contextlib.contextmanager
    def _cache_turn(self, limits: Limits) -> Iterator[None]:
        if self._provider_cache is None:
            yield
            return
        self._provider_cache.mkdir(parents=True, exist_ok=True)
        turn = FileLock(self._provider_cache / ".prbot-init.lock")
        try:
            turn.acquire(timeout=limits.timeout, cancel_check=limits.cancel.is_set)
        except Timeout:
            if not limits.cancel.is_set():  # a cancelled step goes on to say so, and starts nothing
                raise Transient("other inits kept the provider cache busy for too long") from None
        try:
            yield
        finally:
            turn.release()
