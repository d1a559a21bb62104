"""The plan that was approved is the one that a fresh plan is held against, whatever happens in between."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlmodel import select

from prbot.core import retries
from prbot.core.runs import RunStatus
from prbot.core.shown import short_fingerprint
from prbot.github import transport
from prbot.sandbox.pullrequest import SandboxPull
from prbot.sandbox.repository import SandboxRepo
from prbot.store.tables import Run
from tests.faults.workers import Engine, WorkerProcess, stage, until
from tests.flows.app import Story, shared_with_engines, story, tf
from tests.flows.states import state_of, write_state

PRECIOUS = state_of("precious", None)
HALF = state_of("one", {"value": "1", "type": "string"})


def state_moves(infra: SandboxRepo) -> None:
    """The state comes to hold a resource that no code knows: a plan made from here on destroys it."""
    write_state(infra, PRECIOUS)


def is_there(infra: SandboxRepo, directory: str = "net") -> bool:
    kept = infra.world.hub.states.read(f"{infra.name}/{directory}") or {}
    return any(each["name"] == "precious" for each in kept["resources"])


def merged_unapproved(app: Story) -> tuple[SandboxRepo, SandboxPull]:
    """A change that waits for its approval, with the plan F1 shown."""
    infra = app.repo()
    pull = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1)})
    app.settle()
    pull.merge(by="al")
    app.settle()
    assert app.runs(pull, "apply")[-1].status == RunStatus.AWAITING_APPROVAL
    return infra, pull


def check_held(app: Story, infra: SandboxRepo, pull: SandboxPull, approved: str) -> None:
    """F2 is shown and waits; what it would destroy is there; nobody was said to have approved it."""
    run = app.runs(pull, "apply")[-1]
    assert run.status == RunStatus.HELD
    assert run.fingerprint != approved
    said = [each.body for each in pull.comments() if "## Apply held" in each.body][-1]
    assert f"prbot approve {short_fingerprint(run.fingerprint)}" in said
    assert "terraform_data.precious" in said
    assert is_there(infra)
    assert app.audit("apply.authorized") == []


def test_killed_while_it_reads_the_reviews_it_does_not_forget_what_was_approved(tmp_path: Path) -> None:
    with stage(tmp_path) as (app, engine):
        worker = WorkerProcess(app)
        infra, pull = merged_unapproved(app)
        approved = app.runs(pull, "apply")[-1].fingerprint
        state_moves(infra)
        engine.hold("show")
        pull.comment(by="bo", body="prbot approve")
        until(lambda: engine.calls("show") == 3)
        app.world.slow_next("list_reviews", 20)
        engine.release()
        until(lambda: not app.world.pending_faults)  # it has its new plan, and asks who approved
        worker.kill()
        again = WorkerProcess(app)
        app.settle()
        check_held(app, infra, pull, approved)
        pull.comment(by="bo", body=f"prbot approve {short_fingerprint(approved)}")
        app.settle()
        check_held(app, infra, pull, approved)
        pull.comment(by="bo", body=f"prbot approve {short_fingerprint(app.runs(pull, 'apply')[-1].fingerprint)}")
        app.settle()
        assert infra.state("net") == {"v": "1"}
        assert not is_there(infra)
        assert again.end() == 0
        kept = [each for each in (app.root / "data" / "plans").rglob("*") if each.is_file()]
        assert len(kept) == len({run.plan_key for run in app.runs(pull) if run.plan_key})


def test_refused_while_it_reads_the_reviews_it_holds_what_is_planned_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(transport, "_PAUSES", (0.0, 0.0))
    shared = shared_with_engines(tmp_path)
    shared.mkdir()
    engine = Engine(shared)
    with story(tmp_path, engine=str(engine.path)) as app:
        infra, pull = merged_unapproved(app)
        approved = app.runs(pull, "apply")[-1].fingerprint
        state_moves(infra)
        engine.hold("show")
        pull.comment(by="bo", body="prbot approve")
        until(lambda: engine.calls("show") == 3)
        app.world.fail_next("list_reviews", 502, times=12)
        engine.release()
        app.settle()
        assert app.runs(pull, "apply")[-1].status == RunStatus.ERRORED
        pull.comment(by="al", body="prbot plan")
        app.settle()
        check_held(app, infra, pull, approved)
        pull.comment(by="al", body="prbot apply")
        app.settle()
        check_held(app, infra, pull, approved)


Damage = Callable[[Story, Path, str], object]


def gone(app: Story, path: Path, key: str) -> None:
    path.unlink()


def cut(app: Story, path: Path, key: str) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def another(app: Story, path: Path, key: str) -> None:
    """A plan of ours that says less than what was approved."""
    kept = app.services.plans.get(key).replace(b'"create"', b'"update"')
    app.services.plans.put(key, kept)


def nonsense(app: Story, path: Path, key: str) -> None:
    app.services.plans.put(key, b"[1, 2")


def key_gone(app: Story, path: Path, key: str) -> None:
    """Its fingerprint was made with a key that the server has no more."""
    with app.services.db.write() as tx:
        run = tx.exec(select(Run).where(Run.plan_key == key.removesuffix("/plan.json"))).one()
        run.fingerprint = "0badc0de:" + run.fingerprint.partition(":")[2]
        tx.add(run)


GONE = "The plan that was approved is gone from the plan store, so that the new one cannot be compared with it."
UNREADABLE = (
    "The plan that was approved cannot be read any more, so that the new one cannot be compared with it: the server's "
    "log says more."
)
ANOTHER = "The plan store holds another plan than the one that was approved: the fingerprints differ."


DAMAGES: list[tuple[Damage, str]] = [
    (gone, GONE), (cut, UNREADABLE), (nonsense, UNREADABLE), (key_gone, UNREADABLE), (another, ANOTHER),
]  # fmt: skip


@pytest.mark.parametrize(("damage", "why"), DAMAGES)
def test_an_approved_plan_that_is_not_there_as_it_was_is_not_applied(app: Story, damage: Damage, why: str) -> None:
    infra = app.repo()
    pull = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1)})
    app.settle()
    pull.approve(by="bo")
    app.settle()
    key = f"{app.runs(pull)[-1].plan_key}/plan.json"
    damage(app, app.root / "data" / "plans" / key, key)
    pull.merge(by="al")
    app.settle()
    run = app.runs(pull, "apply")[-1]
    assert (run.status, run.error) == (RunStatus.AWAITING_APPROVAL, why)
    assert why in pull.comments()[-1].body.replace("\n", " ")
    assert infra.state("net") == {}
    pull.comment(by="bo", body="prbot approve")  # the way on: of the plan that is shown now
    app.settle()
    assert infra.state("net") == {"v": "1"}


def test_what_an_approval_was_for_stays_when_others_may_apply_it(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text("defaults:\n  who:\n    apply:\n      users: [al]\n")
    with story(tmp_path, rules=rules) as app:
        infra, pull = merged_unapproved(app)
        held = app.runs(pull, "apply")[-1]
        pull.comment(by="bo", body="prbot approve")  # who may not apply: planned anew, and it waits for who may
        app.settle()
        run = app.runs(pull, "apply")[-1]
        assert run.status == RunStatus.PLANNED
        assert (run.plan_key, run.fingerprint, run.shown_at) == (held.plan_key, held.fingerprint, held.shown_at)
        pull.comment(by="al", body="prbot apply")
        app.settle()
        assert infra.state("net") == {"v": "1"}


def test_a_planning_error_after_the_merge_is_no_failed_apply(app: Story) -> None:
    """What the rules hold is held: nothing was applied that a smaller plan could be the rest of."""
    infra = app.repo()
    flag = shared_with_engines(app.root) / "flag"
    checked = (
        'variable "yes" {\n  default = true\n}\n'
        'resource "terraform_data" "checked" {\n  lifecycle {\n    precondition {\n'
        f'      condition     = var.yes && !fileexists("{flag}")\n      error_message = "not now"\n    }}\n  }}\n}}\n'
    )
    pull = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), one=1, two=2) + checked})
    app.settle()
    pull.approve(by="bo")
    app.settle()
    flag.touch()
    pull.merge(by="al")
    app.settle()
    assert app.runs(pull, "apply")[-1].status == RunStatus.ERRORED
    flag.unlink()
    write_state(infra, HALF)  # a part of it is there, and not by our doing
    pull.comment(by="al", body="prbot plan")
    app.settle()
    run = app.runs(pull, "apply")[-1]
    assert (run.status, run.attempt) == (RunStatus.HELD, 2), run.error
    assert "ask for a new approval" in run.error
    assert infra.state("net") == {}
