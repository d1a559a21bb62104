"""Who may start: never too many, never two of a project, the urgent first, everybody in turn."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prbot.core.admission import AdmissionLimits, PendingRun, RunClass, admit, class_of
from prbot.core.ids import ProjectKey
from prbot.core.runs import Goal

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
MANY = AdmissionLimits(total=100)


def project(name: str) -> ProjectKey:
    """`a/net` → directory net of repository a."""
    repo, _, directory = name.partition("/")
    return ProjectKey(repo, directory)


def run(number: int, name: str, kind: RunClass = RunClass.AUTO) -> PendingRun:
    return PendingRun(f"{number:04}", kind, project(name))


@pytest.mark.parametrize(
    ("goal", "trigger", "kind"),
    [
        (Goal.APPLY, "merge", RunClass.APPLY),
        (Goal.APPLY, "comment", RunClass.APPLY),
        (Goal.PLAN, "comment", RunClass.MANUAL),
        (Goal.PLAN, "autoplan", RunClass.AUTO),
        (Goal.PLAN, "turn", RunClass.AUTO),
        (Goal.PLAN, "drift", RunClass.DRIFT),
    ],
)
def test_a_runs_class_follows_from_its_goal_and_its_cause(goal: Goal, trigger: str, kind: RunClass) -> None:
    assert class_of(goal, trigger) == kind


def test_applies_go_first_then_a_persons_plans_then_autoplans_then_drift() -> None:
    pending = [run(number, f"a/{kind.name}", kind) for number, kind in enumerate(reversed(RunClass))]
    assert admit(pending, [], MANY, {}) == ["0003", "0002", "0001", "0000"]


def test_a_project_has_one_run_at_a_time() -> None:
    pending = [run(1, "a/net"), run(2, "a/net"), run(3, "a/db")]
    assert admit(pending, [], MANY, {}) == ["0001", "0003"]
    assert admit(pending, [project("a/net")], MANY, {}) == ["0003"]


def test_two_workspaces_of_a_directory_are_two_projects() -> None:
    pending = [PendingRun(str(n), RunClass.AUTO, ProjectKey("a", "net", w)) for n, w in enumerate(["dev", "prod"])]
    assert admit(pending, [], MANY, {}) == ["0", "1"]


def test_repositories_take_turns_however_much_one_of_them_has_queued_before() -> None:
    pending = [*(run(number, f"a/{number}") for number in range(4)), run(10, "b/x"), run(11, "b/y"), run(12, "c/x")]
    assert admit(pending, [], AdmissionLimits(5), {}) == ["0000", "0010", "0012", "0001", "0011"]


def test_the_repository_that_has_waited_longest_is_next() -> None:
    pending = [run(1, "a/net"), run(2, "b/net"), run(3, "c/net")]
    last = {"a": NOON, "b": NOON - timedelta(hours=1)}
    assert admit(pending, [], AdmissionLimits(1), last) == ["0003"]
    assert admit(pending, [], MANY, last) == ["0003", "0002", "0001"]


def test_what_runs_counts_towards_both_limits() -> None:
    pending = [run(1, "a/net"), run(2, "a/db"), run(3, "b/net")]
    running = [project("a/x"), project("a/y")]
    assert admit(pending, running, AdmissionLimits(total=3), {}) == ["0001"]
    assert admit(pending, running, AdmissionLimits(total=9, per_repo={"a": 2, "b": 1}), {}) == ["0003"]
    assert admit(pending, running, AdmissionLimits(total=9, per_repo={"a": 3}), {}) == ["0001", "0003"]
    assert admit(pending, running, AdmissionLimits(total=1), {}) == []


projects = st.builds(ProjectKey, st.sampled_from("abc"), st.sampled_from(["net", "db", "dns"]))
waiting = st.lists(st.tuples(st.sampled_from(RunClass), projects), max_size=12).map(
    lambda drawn: [PendingRun(f"{number:04}", kind, key) for number, (kind, key) in enumerate(drawn)]
)
limits = st.builds(AdmissionLimits, st.integers(1, 6), st.dictionaries(st.sampled_from("abc"), st.integers(1, 3)))
turns = st.dictionaries(st.sampled_from("abc"), st.integers(0, 9).map(lambda hour: NOON + timedelta(hours=hour)))


@given(waiting, st.lists(projects, unique=True, max_size=4), limits, turns)
def test_no_limit_is_passed_no_project_runs_twice_and_no_room_is_left_unused(
    pending: list[PendingRun], running: list[ProjectKey], bounds: AdmissionLimits, last: dict[str, datetime]
) -> None:
    admitted = admit(pending, running, bounds, last)
    by_id = {each.id: each for each in pending}
    busy = [*running, *(by_id[run_id].project for run_id in admitted)]
    per_repo = Counter(key.repo for key in busy)
    assert len(set(admitted)) == len(admitted)
    assert len(set(busy)) == len(busy)
    if admitted:
        assert len(busy) <= bounds.total
    new = {by_id[run_id].project.repo for run_id in admitted}
    assert all(per_repo[repo] <= bounds.per_repo.get(repo, len(busy)) for repo in new)
    if len(busy) < bounds.total:
        left = [each for each in pending if each.project not in busy]
        assert all(per_repo[each.project.repo] >= bounds.per_repo.get(each.project.repo, 99) for each in left)


@given(waiting, limits, turns)
def test_nobody_starts_before_one_of_a_more_urgent_class_that_could(
    pending: list[PendingRun], bounds: AdmissionLimits, last: dict[str, datetime]
) -> None:
    started = {each.id: each for each in pending if each.id in admit(pending, [], bounds, last)}
    busy = {each.project for each in started.values()}
    load = Counter(key.repo for key in busy)
    least_urgent = max((each.kind for each in started.values()), default=RunClass.APPLY)
    for each in pending:
        room = load[each.project.repo] < bounds.per_repo.get(each.project.repo, 99)
        if each.project not in busy and room:
            assert each.kind >= least_urgent


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=60), st.integers(1, 3))
def test_however_long_anothers_queue_a_repository_waits_for_one_turn_of_each_other(
    queued: list[str], at_once: int
) -> None:
    pending = [
        PendingRun(f"{number:04}", RunClass.AUTO, ProjectKey(repo, str(number))) for number, repo in enumerate(queued)
    ]
    last: dict[str, datetime] = {}
    turn, waited = 0, Counter[str]()
    while pending:
        for run_id in admit(pending, [], AdmissionLimits(at_once), last):
            (chosen,) = [each for each in pending if each.id == run_id]
            turn += 1
            last[chosen.project.repo] = NOON + timedelta(seconds=turn)
            waited[chosen.project.repo] = 0
            pending.remove(chosen)
            for repo in {each.project.repo for each in pending} - {chosen.project.repo}:
                waited[repo] += 1
                assert waited[repo] < len(set(queued)), "everybody else had a turn before it had its own"
