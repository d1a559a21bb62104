"""A state that somebody else keeps writing to."""

from __future__ import annotations

from pathlib import Path

from prbot.core.runs import RunStatus
from tests.faults.workers import Engine, until
from tests.flows.app import shared_with_engines, story, tf
from tests.flows.states import state_of, write_state


def test_an_apply_on_a_state_that_keeps_moving_is_given_up_and_told(tmp_path: Path) -> None:
    shared = shared_with_engines(tmp_path)
    shared.mkdir()
    engine = Engine(shared)
    with story(tmp_path, engine=str(engine.path)) as app:
        infra = app.repo()
        kept = {"value": "1", "type": "string"}
        write_state(infra, state_of("v", kept))
        pull = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1, w=1)})
        app.settle()
        pull.approve(by="bo")
        app.settle()
        engine.hold("apply")
        pull.merge(by="al")
        for number in range(1, 6):
            until(lambda number=number: engine.calls("apply") == number)  # type: ignore[misc]
            write_state(infra, state_of("v", kept, serial=10 * number))
            engine.release()
            until(lambda number=number: app.runs(pull, "apply")[0].stale_tries == number)  # type: ignore[misc]
            engine.hold("apply")
        app.settle()
        assert engine.calls("apply") == 5
        assert len(app.audit("apply.authorized")) == 5
        first, again = app.runs(pull, "apply")
        assert (first.status, first.applying_at) == (RunStatus.ERRORED, None)
        assert first.error == (
            "The state moved 5 times between the plan and its apply, so that nothing was applied. Something else keeps "
            "writing to this state: find it and stop it first."
        )
        told = [comment.body for comment in pull.comments() if first.error in comment.body]
        assert len(told) == 1
        assert (again.status, again.attempt) == (RunStatus.PLANNED, 2)
        assert app.holder("net") == pull.number
        engine.release()
        pull.comment(by="al", body="prbot apply")  # it has come to rest
        app.settle()
        assert infra.state("net") == {"v": "1", "w": "1"}
