"""The engine's part of a run: a checkout, then init, plan and show, with every line masked and kept."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from prbot.core.comments.diff import extract_changes
from prbot.core.comparison import EntryDifference
from prbot.core.credentials import Phase
from prbot.core.fingerprint import canonical, fingerprint
from prbot.core.planfile import PlanUnreadable, sensitive_values, summarise
from prbot.core.plans import CanonicalPlan, Counts, PlanSummary, Seal, StatePosition
from prbot.core.redact import Redactor
from prbot.core.rule_sets import RuleSet
from prbot.core.rules import Rules
from prbot.core.runs import Goal
from prbot.core.states import Against, Places
from prbot.disk import remove
from prbot.flows import gather
from prbot.flows.given import for_init, given_for, in_place, masking
from prbot.flows.patience import patiently
from prbot.flows.services import Services
from prbot.ports import Allowance, Given, Limits, OnLine, Site, StepResult
from prbot.store.outputs import OutputSink
from prbot.store.tables import PullRow, Run

PLAN_FILE = "prbot.tfplan"
_ERROR = re.compile(r"^[│╷|\s]*Error: ", re.MULTILINE)
_MOST_ERROR = 20_000
_UNREADABLE = (
    "The engine made a plan that prbot cannot read, so that nobody can approve it and nothing of it is applied. It "
    "takes an engine that prbot knows, or a newer prbot."
)


class StepFailed(Exception):
    """An engine command did not end well; what it said, masked, is what people get to read."""

    def __init__(self, result: StepResult, said: str) -> None:
        super().__init__(said)
        self.result = result
        self.said = said


@dataclass(frozen=True, slots=True)
class Made:
    """A plan that was just made: where, what it does, and what it is bound to."""

    file: Path
    summary: PlanSummary
    canonical: CanonicalPlan
    fingerprint: str
    seal: Seal
    changes: str
    """As people read it, masked."""
    masks: Redactor


@dataclass
class Bench:
    """One run at work: its site, its limits, and where its lines go. Lines are masked before they are kept."""

    services: Services
    run: Run
    rules: Rules
    site: Site
    limits: Limits
    masks: Redactor
    sink: OutputSink
    given: Given

    def on_line(self, step: str) -> OnLine:
        return lambda line: self.sink.line(step, self.masks.redact(line))

    def must(self, result: StepResult) -> StepResult:
        """The result if it is good; else StepFailed."""
        if result.ok:
            return result
        raise StepFailed(result, self.masks.redact(_said(result)))

    def init(self) -> None:
        if self.services.engine.init_needed(self.site):
            with for_init(self.site, self.given) as site:
                self.must(self.services.engine.init(site, self.limits, self.on_line("init")))

    def plan(self) -> Made:
        """init, plan and show. Raises StepFailed."""
        engine, run, site = self.services.engine, self.run, self.site
        self.init()
        file = site.data_dir / PLAN_FILE
        planned = self.must(
            engine.plan(
                site,
                file,
                self.limits,
                self.on_line("plan"),
                var_files=run.var_files or (),
                extra_args=run.extra_args or (),
                lock=self.rules.plan_lock,
            )
        )
        shown, document = engine.show(site, file, self.limits)
        self.must(shown)
        try:
            return self._made(file, document, extract_changes(planned.output))
        except PlanUnreadable as problem:
            why = f"{_UNREADABLE} What is wrong with it: {problem.problem}."
            raise StepFailed(shown, self.masks.redact(why)) from problem

    def _made(self, file: Path, document: dict[str, Any], changes: str) -> Made:
        self.masks = self.masks.with_secrets(sensitive_values(document))
        canon = canonical(document, self.rules.volatile)
        key_id, key = self.services.fingerprint_key(None)
        made = Made(
            file,
            summarise(document),
            canon,
            fingerprint(canon, key_id, key),
            self._seal(file, key),
            self.masks.redact(changes),
            self.masks,
        )
        return replace(made, seal=replace(made.seal, fingerprint=made.fingerprint))

    def _seal(self, file: Path, key: bytes) -> Seal:
        run, basis = self.run, self.services.engine.basis(self.site, file, key)
        version = self.services.engine.version()
        return Seal(
            head_sha=run.head_sha,
            base_sha=run.base_sha,
            tree=run.tree,
            input_digest=run.input_digest,
            fingerprint="",
            plan_file_digest=basis.plan_file_digest,
            lock_file=basis.lock_file,
            provider_versions=basis.provider_versions,
            backend=basis.backend,
            workspace=run.workspace,
            rules_digest=self.rules.digest,
            engine_version=f"{version.product} {version.version}",
            state=basis.state,
            extra_args=tuple(run.extra_args or ()),
        )

    def keep(self, made: Made) -> str:
        """Put a plan, encrypted, where it outlives this run, under a key that no other plan ever has: that key."""
        key = f"{self.run.repo}/{self.run.id}/{self.services.new_id()}".lower()
        self.services.plans.put(place_of(key), json.dumps(made.canonical).encode())
        return key


def place_of(plan_key: str) -> str:
    """Where the plan store keeps the canonical form of a plan."""
    return f"{plan_key}/plan.json"


def seal_of(run: Run) -> Seal | None:
    """The seal that a run's row keeps."""
    if run.seal is None:
        return None
    return Seal(
        **{**run.seal, "state": StatePosition(**run.seal["state"]), "extra_args": tuple(run.seal["extra_args"])}
    )


def places_of(run: Run) -> Places | None:
    """Where the run's state is kept on the base and in the merge result; None where that was not noted."""
    return Places(**run.state_places) if run.state_places else None


def against(run: Run, seal: Seal | None = None) -> Against:
    """What state a run's plan was made against: the one that its row keeps, or one that was just made."""
    kept = seal or seal_of(run)
    key, backend = (kept.fingerprint.partition(":")[0], kept.backend) if kept is not None else ("", "")
    return Against(places_of(run), backend, key)


def counts_of(run: Run) -> Counts:
    """The counts of a run's plan; all nought without one."""
    return Counts(**run.summary["counts"]) if run.summary else Counts()


def differences_of(run: Run) -> tuple[EntryDifference, ...]:
    """How a held run's plan differs from what was approved."""
    lists = ("paths", "aspects", "again")
    return tuple(
        EntryDifference(**{**each, **{name: tuple(each.get(name, ())) for name in lists}})
        for each in run.difference or ()
    )


def kept_summary(summary: PlanSummary) -> dict[str, object]:
    return asdict(summary)


@contextmanager
def bench(services: Services, run: Run, pull: PullRow, phase: Phase, book: RuleSet, owner: str = "") -> Iterator[Bench]:
    """A clean checkout of the run's commit, ready for the engine with what a phase gets, by one reading of the rules;
    all of it is gone afterwards. Its directories are called after `owner`, or the run.
    """
    rules = book.of(run.repo)
    owner = owner or run.id
    commits = [run.head_sha, run.base_sha] if run.goal is Goal.PLAN else [run.commit]
    patiently(services, run.id, lambda: gather.fetch(services, pull.repository, commits))
    if run.goal is Goal.PLAN:  # nobody pushed this commit: it is made again where another worker made it
        services.git.merge(pull.repository, run.base_sha, run.head_sha)
    given = given_for(services, run, phase, book)
    masks = masking(services.secrets(), given)
    place = services.places.scratch / owner
    remove(place)
    for name in ("data", "tmp"):
        (place / name).mkdir(parents=True, mode=0o700)
    sink = OutputSink(services.db, run.id)
    try:
        with services.git.checkout(pull.repository, run.commit, owner=owner) as tree:
            bare = Site(tree, tree / run.dir, run.workspace, place / "data", place / "tmp", name=owner)
            timeout = rules.plan_timeout if run.goal is Goal.PLAN else rules.apply_timeout
            limits = Limits(services.running.begin(run.id), timeout, allowance=Allowance(**rules.limits.model_dump()))
            with in_place(services, bare, given) as site:
                yield Bench(services, run, rules, site, limits, masks, sink, given)
    finally:
        sink.close()
        remove(place)


def _said(result: StepResult) -> str:
    """What people need of a failed command's output: from its first error on, or its end."""
    if result.ending == "timeout":
        stopped = f"{result.step} took longer than it may ({result.seconds:.0f} s) and was stopped."
        return f"{stopped}\n\n{result.output[-4000:]}"
    found = _ERROR.search(result.output)
    said = result.output[found.start() :] if found else result.output[-4000:]
    return said.strip()[:_MOST_ERROR] or f"{result.step} ended with exit code {result.exit_code} and said nothing"
