"""The main job: planned, approved, merged, applied, and on record."""

from __future__ import annotations

from tests.flows.app import Story, tf


def test_a_pull_request_is_planned_approved_merged_and_applied(app: Story) -> None:
    infra = app.repo()
    infra.commit("main", {"net/main.tf": tf(infra.backend("net"), v=1)}, by="al")
    pull = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=2)})
    app.settle()
    plan = pull.next_comment()
    assert "`net`" in plan
    assert pull.status("prbot/plan")["state"] == "success"
    assert pull.status("prbot/gate")["state"] == "pending"
    assert app.holder("net") == pull.number

    pull.approve(by="bo")
    app.settle()
    assert pull.status("prbot/gate")["state"] == "success"

    pull.merge(by="al")
    app.settle()
    applied = pull.next_comment()
    assert "Applied" in applied
    assert infra.state("net") == {"v": "2"}
    assert app.holder("net") is None
    assert pull.status("prbot/apply")["state"] == "success"
    actions = [entry["action"] for entry in app.audit()]
    assert actions.index("apply.authorized") < actions.index("apply.finished")
