"""The rules file, seen from the pull request: new rules while the server runs, and who may do what."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from prbot.sandbox.pullrequest import SandboxPull
from prbot.sandbox.repository import SandboxRepo
from prbot.wiring import reload_rules
from tests.flows.app import Story, story, tf
from tests.flows.conftest import check_afterwards


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    return tmp_path / "rules.yaml"


@pytest.fixture
def ruled(tmp_path: Path, rules: Path, request: pytest.FixtureRequest) -> Iterator[Story]:
    """The whole app by the rules that the test names."""
    rules.write_text(request.param)
    with story(tmp_path / "app", rules=rules) as it:
        yield it
        check_afterwards(it)


def opened(app: Story) -> tuple[SandboxRepo, SandboxPull]:
    infra = app.repo()
    infra.commit("main", {"net/main.tf": tf(infra.backend("net"), v=1)}, by="root")
    pull = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=2)})
    app.settle()
    pull.next_comment()
    return infra, pull


def said(app: Story, pull: SandboxPull, by: str, body: str) -> str:
    """What prbot answers to a comment."""
    pull.comment(by=by, body=body)
    app.settle()
    return pull.next_comment()


# -- new rules --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("ruled", ["defaults: {approvals: 1}\n"], indirect=True)
def test_new_rules_change_how_many_approvals_are_needed_of_what_is_open_at_once(ruled: Story, rules: Path) -> None:
    infra, pull = opened(ruled)
    pull.approve(by="bo")
    ruled.settle()
    assert pull.status("prbot/gate")["state"] == "success"

    rules.write_text("defaults: {approvals: 2}\n")
    assert reload_rules(ruled.services)
    ruled.settle()
    assert pull.status("prbot/gate")["state"] == "pending"
    assert "1 approval counts, and 2 are needed" in said(ruled, pull, "al", "prbot apply")
    first, second = ruled.audit("rules.loaded")
    assert second["facts"]["before"] == first["facts"]["digest"] != second["facts"]["digest"]

    pull.approve(by="mo")
    ruled.settle()
    assert pull.status("prbot/gate")["state"] == "success"
    pull.merge(by="al")
    ruled.settle()
    assert infra.state("net") == {"v": "2"}


@pytest.mark.parametrize("ruled", ["defaults: {approvals: 2}\n"], indirect=True)
def test_wrong_new_rules_leave_those_in_force_that_were(ruled: Story, rules: Path) -> None:
    _, pull = opened(ruled)
    rules.write_text("defaults: {approvals: 0}\nrepos: [{match: acme/*, aprovals: 0}]\n")
    assert not reload_rules(ruled.services)
    pull.approve(by="bo")
    ruled.settle()
    assert "1 approval counts, and 2 are needed" in said(ruled, pull, "al", "prbot apply")
    (refused,) = ruled.audit("rules.refused")
    (loaded,) = ruled.audit("rules.loaded")
    assert refused["facts"]["in_force"] == loaded["facts"]["digest"]
    assert f"{rules}:2: repos[0].aprovals: " in refused["facts"]["problems"][0]


# -- who --------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "ruled", ["defaults:\n  who: {approve: {role: maintain}, plan: {users: [mo]}}\n"], indirect=True
)
def test_only_those_whom_the_rules_let_approve_or_plan_do(ruled: Story) -> None:
    infra, pull = opened(ruled)
    pull.approve(by="bo")
    ruled.settle()
    assert pull.status("prbot/gate")["state"] == "pending"
    assert "the rules keep approving for somebody with maintain access, and bo has write access" in said(
        ruled, pull, "al", "prbot apply"
    )
    assert "The rules keep `approve` for somebody with maintain access here" in said(ruled, pull, "bo", "prbot approve")
    assert "The rules keep `plan` for mo here, and you are not among them" in said(ruled, pull, "al", "prbot plan")
    pull.approve(by="mo")
    ruled.settle()
    pull.merge(by="al")
    ruled.settle()
    assert infra.state("net") == {"v": "2"}


@pytest.mark.parametrize("ruled", ["defaults:\n  apply: manual\n  who: {apply: {users: [mo]}}\n"], indirect=True)
def test_only_those_whom_the_rules_let_apply_do_also_after_an_approval_by_somebody_else(ruled: Story) -> None:
    infra, pull = opened(ruled)
    infra.commit("main", {"net/extra.tf": tf("", sneaked="in")}, by="root")  # so that the run is held
    pull.merge(by="al")
    ruled.settle()
    pull.next_comment()
    pull.comment(by="bo", body="prbot approve")
    ruled.settle()
    assert ruled.runs(pull, "apply")[-1].status == "planned"
    assert infra.state("net") == {}
    while pull.unread_comments():
        pull.next_comment()
    assert "The rules keep `apply` for mo here" in said(ruled, pull, "bo", "prbot apply")
    pull.comment(by="mo", body="prbot apply")
    ruled.settle()
    assert infra.state("net") == {"v": "2", "sneaked": "in"}


# -- limits -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("ruled", ["repos: [{match: acme/infra, parallel: 1}]\n"], indirect=True)
def test_a_repositorys_runs_are_bounded_where_the_server_would_allow_more(ruled: Story) -> None:
    infra = ruled.repo()
    places = ("a", "b", "c")
    infra.open_pull(by="al", files={f"{place}/main.tf": tf(infra.backend(place), v=1) for place in places})
    ruled.settle()
    order = [each["action"] for each in ruled.audit() if each["action"] in ("plan.started", "plan.finished")]
    assert order == ["plan.started", "plan.finished"] * len(places)
