"""Facts for decisions: what a pull request changes, and what its gates are decided from. Writes nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from sqlmodel import Session, select

from prbot.core import approvals, locks, unfetched
from prbot.core.approvals import ExplicitApproval, PeopleFacts
from prbot.core.branches import governed
from prbot.core.gate_facts import GateFacts, Looked, ProjectFacts
from prbot.core.ids import ProjectKey, PullKey, Repo
from prbot.core.modules import Product, RepoView, repo_view, terraform_blobs
from prbot.core.projects import Project, Selection, discover, known_workspaces, reads
from prbot.core.pulls import Commit, Pull, Review, Role
from prbot.core.refusals import Refusal, unplannable
from prbot.core.runs import Goal, RunStatus
from prbot.core.shown import ShownPlan
from prbot.core.states import Places
from prbot.core.unplanned import narrowing
from prbot.core.unread import unread, without_unread
from prbot.flows.locks import queue_of
from prbot.flows.services import Services
from prbot.ports import Conflict, Denied, Merged, NoSuchRef, NotFound
from prbot.store import runs
from prbot.store.tables import Approval, Operation, PullRow, Run


# -- what changes -----------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Change:
    """What lies between two commits: the tree before and after as Terraform reads them, and the projects affected."""

    base_sha: str
    commit: str
    before: RepoView
    after: RepoView
    selection: Selection
    known: frozenset[ProjectKey] = frozenset()
    """Projects in workspaces besides the default one that are looked at without being named."""


def fetched(services: Services, pull: Pull, more: Sequence[str] = ()) -> str:
    """Bring the mirror up to date for a pull request, in one fetch; the base branch's commit as it is now."""
    ref = f"refs/heads/{pull.base_branch}"
    shas = [sha for sha in (pull.head_sha, pull.merge_sha if pull.merged else None, *more) if sha]
    fetch(services, pull.repo, shas, [ref])
    return services.git.resolve(pull.repo, ref)


def base_of_merged(services: Services, pull: Pull, more: Sequence[str] = ()) -> tuple[str, bool]:
    """The same, and whether the base branch holds the merge. A merged one's may be gone: then it holds nothing."""
    try:
        base = fetched(services, pull, more)
    except NoSuchRef:
        if not pull.merged:
            raise
        fetch(services, pull.repo, [sha for sha in (pull.head_sha, pull.merge_sha, *more) if sha])
        return "", False
    return base, pull.merge_sha is not None and services.git.is_ancestor(pull.repo, pull.merge_sha, base)


def fetch(services: Services, repo: Repo, shas: Sequence[str], refs: Sequence[str] = ()) -> None:
    """Bring commits and refs into the mirror; once more with another token where git was refused with the first."""
    token = services.forge.clone_token(repo.name)
    try:
        services.git.fetch(repo, shas=shas, refs=refs, token=token)
    except Denied:
        other = services.forge.clone_token(repo.name, refused=token)
        if other == token:
            raise
        services.git.fetch(repo, shas=shas, refs=refs, token=other)


def change_between(
    services: Services, repo: Repo, base: str, commit: str, named: Collection[ProjectKey] = ()
) -> Change:
    """What `commit` changes on `base`, both in the mirror. `named` are projects that people named for it."""
    product: Product = "opentofu" if services.engine.version().product == "opentofu" else "terraform"
    old, new = services.git.tree(repo, base), services.git.tree(repo, commit)
    wanted = terraform_blobs(old, product) | terraform_blobs(new, product)
    blobs = services.git.blobs(repo, sorted(wanted))
    before, after = repo_view(old, blobs, product), repo_view(new, blobs, product)
    with services.db.read() as tx:
        tried, applied = runs.tried_projects(tx, repo.name), runs.applied_projects(tx, repo.name)
    known = known_workspaces(tried, {*applied, *named}, (before, after))
    changed = services.git.changed_paths(repo, base, commit)
    selection = discover(repo.name, before, after, changed, known)
    rule = services.rules(repo.name).unread
    selection = without_unread(selection, (before, after), changed, rule)
    lacking = not_in_checkout(services, repo, after, selection.projects)
    return Change(base, commit, before, after, selection.refusing(lacking), known)


def refused(
    services: Services, repo: Repo, view: RepoView, projects: Sequence[Project], *, workspace_named: bool
) -> dict[ProjectKey, Refusal]:
    """Which of the projects, whoever chose them, may not be planned at a commit, and why."""
    found = ((each.key, unplannable(view, each.key, reads(each), each.dirs)) for each in projects)
    return {
        **not_in_checkout(services, repo, view, projects),
        **{key: refusal for key, refusal in found if refusal is not None},
        **unread(view, projects, services.rules(repo.name).unread, workspace_named=workspace_named),
    }


def not_in_checkout(
    services: Services, repo: Repo, view: RepoView, projects: Sequence[Project]
) -> dict[ProjectKey, Refusal]:
    """Those of the projects that read something which no checkout holds, and why they are refused."""
    if not projects:
        return {}
    files = unfetched.content_needed(view, projects)
    contents = services.git.blobs(repo, [*files.values()], largest=unfetched.LARGEST_POINTER)
    pointing = unfetched.pointers(files, contents)
    filters = services.git.filters(repo, view.tree, [*files])
    found = ((each.key, unfetched.without(view, each, filters, pointing)) for each in projects)
    return {key: refusal for key, refusal in found if refusal is not None}


def is_there(services: Services, repo: Repo, commit: str) -> bool:
    """Bring a commit into the mirror, if it is to be had anywhere: no branch may hold it any more."""
    try:
        fetch(services, repo, [commit])
    except (NotFound, Conflict):
        return False
    return True


def same_on_base(services: Services, pull: Pull, base: str, earlier_head: str, merged: Merged) -> bool:
    """Whether `earlier_head`, merged into `base`, gives every file that `merged` has: the pull request's own diff is
    then the same as it was (docs/adr/0008). An earlier head that is to be had nowhere any more may differ."""
    try:
        fetch(services, pull.repo, [earlier_head])
        before = services.git.merge(pull.repo, base, earlier_head)
    except (Denied, NotFound, Conflict):
        return False
    return isinstance(before, Merged) and before.tree == merged.tree


def holds_only(services: Services, repo: Repo, base: str, head: str, commit: str) -> bool:
    """Whether a commit's files are those that `head` merged into `base` gives, and no others."""
    result = services.git.merge(repo, base, head)
    return isinstance(result, Merged) and result.tree == services.git.tree_id(repo, commit)


# -- gates ------------------------------------------------------------------------------------------------------------
def gate_facts(
    services: Services, pull: Pull, base_sha: str, *, merge_on_base: bool = False, only: ProjectKey | None = None
) -> GateFacts:
    """Everything that the gates of a pull request (or of one of its projects) are decided from, read afresh."""
    rules = services.rules(pull.key.repo)
    reviews = services.forge.reviews(pull.key)
    with services.db.read() as tx:
        concerned = [*project_facts(tx, pull), *removed(tx, pull)]
        projects = [each for each in concerned if only is None or each.project == only]
        explicit = [
            ExplicitApproval(row.user, row.user_is_bot, row.run, row.fingerprint, row.at, row.comment_id)
            for row in tx.exec(select(Approval).where(Approval.repo == pull.key.repo, Approval.pull == pull.key.number))
        ]
        row = tx.get(PullRow, (pull.key.repo, pull.key.number))
        looked = looked_at(tx, pull.key, pull.head_sha, pull.base_branch)
    return GateFacts(
        pull=pull,
        rules=rules,
        base_sha=base_sha,
        merge_on_base=merge_on_base,
        people=replace(_people(services, pull, row, reviews, explicit), approvers=rules.who.approve),
        reviews=tuple(reviews),
        explicit=tuple(explicit),
        projects=tuple(projects),
        looked=looked,
        governed=governed(rules, pull),
        prefix=services.identity.prefixes[0],
    )


def _people(
    services: Services, pull: Pull, row: PullRow | None, reviews: Sequence[Review], explicit: Sequence[ExplicitApproval]
) -> PeopleFacts:
    """Who they all are. Where nobody has an opinion, nobody is asked about."""
    names = sorted({review.user for review in reviews} | {each.user for each in explicit}, key=str.casefold)
    roles: dict[str, Role] = {name: services.forge.role(pull.key.repo, name) for name in names}
    if not names:
        return PeopleFacts(pull.author, None, frozenset(), frozenset(), services.forge.me(), roles)
    commits = services.forge.commits(pull.key)
    return PeopleFacts(
        author=pull.author,
        requester=None,
        last_pushers=approvals.last_pushers(pusher_of(services, pull, row), commits),
        commit_authors=approvals.commit_authors(commits, base_merges=_base_merges(services, pull, commits)),
        bot_login=services.forge.me(),
        roles=roles,
    )


def pusher_of(services: Services, pull: Pull, row: PullRow | None) -> str | None:
    """Who pushed the head: the sender of the push's delivery, else whom the repository's activity names."""
    if row is not None and row.pushed_sha == pull.head_sha and row.pusher is not None:
        return row.pusher or None
    if pull.head_repo is None:
        return None
    return services.forge.last_pusher(pull.head_repo, pull.head_branch, pull.head_sha)


def _base_merges(services: Services, pull: Pull, commits: Sequence[Commit]) -> frozenset[str]:
    """The merge commits among them that merge the base and change nothing more."""
    git = services.git
    try:
        base = git.resolve(pull.repo, f"refs/heads/{pull.base_branch}")
    except NotFound:  # a base that is new to us, or not ours: then every commit is taken for somebody's work
        return frozenset()
    merges = [each for each in commits if len(each.parents) == 2]
    of_base = [each for each in merges if git.is_ancestor(pull.repo, each.parents[1], base)]
    return frozenset(
        each.sha for each in of_base if holds_only(services, pull.repo, each.parents[0], each.parents[1], each.sha)
    )


def project_facts(tx: Session, pull: Pull) -> list[ProjectFacts]:
    """The projects that the pull request changes and that are neither applied nor given up."""
    every = runs.of_pull(tx, pull.key)
    by_project: dict[ProjectKey, list[Run]] = {}
    for run in every:
        by_project.setdefault(run.project, []).append(run)
    return [_facts_of(tx, by_project[key], run) for key, run in sorted(_concerned(tx, pull, every).items())]


def _concerned(tx: Session, pull: Pull, every: Sequence[Run]) -> dict[ProjectKey, Run]:
    """The run that tells how each project stands. Of an open pull request every project that it affects has one, and
    be it one that was put aside; of a merged one those do that are left to be applied."""
    plans = runs.latest(run for run in every if run.goal is Goal.PLAN)
    if not pull.merged:
        return {project: plans[project] for project in affected(tx, pull.key)}
    applies = runs.newest(run for run in every if run.goal is Goal.APPLY)
    begun = any(operation.goal is Goal.APPLY for operation in runs.operations(tx, pull.key))
    done = (RunStatus.APPLIED, RunStatus.DISCARDED, RunStatus.NO_CHANGES, RunStatus.SUPERSEDED)
    return {project: run for project, run in (applies if begun else plans).items() if run.status not in done}


def _facts_of(tx: Session, its_runs: Sequence[Run], run: Run) -> ProjectFacts:
    about = reference_of(its_runs, run)
    has_plan = about is not None and about.fingerprint and run.status is not RunStatus.SUPERSEDED
    return ProjectFacts(
        project=run.project,
        status=run.status,
        plan=shown_plan(about) if about is not None and has_plan else None,
        earlier={each.id: shown_plan(each) for each in its_runs if each.fingerprint},
        holder=locks.holder(queue_of(tx, run.project)),
        speculative=run.speculative,
        narrowed=narrowing(run.extra_args or ()),
        complete=is_complete(run),
    )


def is_complete(run: Run) -> bool:
    """Whether the engine did not say that its plan leaves something for a later one."""
    return run.summary is None or bool(run.summary.get("complete", True))


def removed(tx: Session, pull: Pull) -> list[ProjectFacts]:
    """The projects that an open pull request removes while their state may hold something: nothing is planned of them,
    and whoever approves approves that it is left behind. Shown they are since a comment first said just that."""
    whole = [each for each in runs.operations(tx, pull.key) if each.goal is Goal.PLAN and each.whole]
    if pull.merged or not whole or not whole[-1].orphans:
        return []
    now = whole[-1]
    same = [o for o in whole if (o.head_sha, o.base_branch, o.orphans) == (now.head_sha, now.base_branch, now.orphans)]
    shown = min((each.shown_at for each in same if each.shown_at is not None), default=None)
    digest = hashlib.sha256(json.dumps(now.orphans, sort_keys=True).encode()).hexdigest()
    plan = ShownPlan(same[0].id, now.head_sha, f"orphans:{digest}", shown, must_be_approved=True)
    keys = [ProjectKey(pull.key.repo, each["dir"], name) for each in now.orphans for name in each["workspaces"]]
    return [ProjectFacts(project=key, status=RunStatus.NO_CHANGES, plan=plan) for key in keys]


def looked_at(tx: Session, pull: PullKey, head_sha: str, base_branch: str) -> Looked | None:
    """What was found when the pull request was last looked at whole; None if that was another head or base branch."""
    whole = [each for each in runs.operations(tx, pull) if each.goal is Goal.PLAN and each.whole]
    if not whole or (whole[-1].head_sha, whole[-1].base_branch) != (head_sha, base_branch):
        return None
    refused = sorted({str(each["dir"]) for each in whole[-1].refusals or ()})
    removed = [
        ProjectKey(pull.repo, each["dir"], name).label for each in whole[-1].orphans for name in each["workspaces"]
    ]
    return Looked(tuple(whole[-1].conflict or ()), tuple(refused), tuple(removed))


def affected(tx: Session, pull: PullKey) -> set[ProjectKey]:
    """The projects of the newest operation that looked at the whole pull request, and of those after it."""
    counting: list[Operation] = []
    for operation in runs.operations(tx, pull):
        if operation.goal is Goal.PLAN:
            counting = [operation] if operation.whole else [*counting, operation]
    return {run.project for operation in counting for run in runs.of_operation(tx, operation.id)}


def reference_of(every: Sequence[Run], run: Run) -> Run | None:
    """The run whose plan approvals must be for: for an apply the approved or held one, else the run itself."""
    if run.goal is Goal.PLAN:
        return run
    if run.reference is None:
        return run if run.fingerprint else None
    return next((each for each in every if each.id == run.reference), None)


def shown_plan(run: Run) -> ShownPlan:
    moves = run.state_places is not None and Places(**run.state_places).differ
    return ShownPlan(run.id, run.head_sha, run.fingerprint, run.shown_at, run.carries, run.goal, moves)
