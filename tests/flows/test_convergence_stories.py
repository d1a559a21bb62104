"""What was applied is told once it is known whether anything is left, and whoever is next may go on."""

from __future__ import annotations

from pathlib import Path

from prbot.core.ids import PullKey
from prbot.flows.nudge import report_soon
from prbot.sandbox.pullrequest import SandboxPull
from tests.faults.workers import Engine, until
from tests.flows.app import Story, shared_with_engines, story, tf
from tests.flows.conftest import check_afterwards


def applied_comments(pull: SandboxPull) -> list[str]:
    return [each.body for each in pull.comments() if "## Applied" in each.body]


def reported(app: Story) -> bool:
    return not [each for each in app.left_to_do() if each.startswith("report")]


def test_an_apply_is_told_after_the_plan_that_follows_it(tmp_path: Path) -> None:
    shared = shared_with_engines(tmp_path)
    shared.mkdir()
    engine = Engine(shared)
    with story(tmp_path, engine=str(engine.path)) as app:
        infra = app.repo()
        pull = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1)})
        app.settle()
        pull.approve(by="bo")
        app.settle()
        engine.hold("apply")
        pull.merge(by="al")
        until(lambda: engine.calls("apply"))
        engine.hold("plan")
        engine.release("apply")
        until(lambda: [run.status for run in app.runs(pull, "apply")] == ["applied"])
        with app.services.db.write() as tx:
            report_soon(app.services, tx, PullKey(infra.name, pull.number))
        until(lambda: reported(app))
        assert applied_comments(pull) == []
        assert pull.status("prbot/apply")["description"] == "under way"
        engine.release("plan")
        until(lambda: applied_comments(pull))
        assert app.holder("net") is None
        app.settle()
        assert len(applied_comments(pull)) == 1
        assert pull.status("prbot/apply")["state"] == "success"
        check_afterwards(app)
