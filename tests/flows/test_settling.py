"""A story looks at its end only once all is quiet, also on a machine where everything takes long."""

from __future__ import annotations

from tests.flows.app import Story, tf


def test_a_story_is_quiet_only_when_what_prbot_wrote_has_come_back_to_it(app: Story) -> None:
    infra = app.repo()
    app.world.hooks.slow(0.2)
    pull = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1)})
    app.settle()
    assert [each.event for each in app.world.deliveries if each.status == "pending"] == []
    assert app.world.deliveries[-1].event in ("issue_comment", "status")  # of prbot's own
    assert app.slots_taken() == []
    assert app.left_to_do() == []
    assert pull.status("prbot/plan")["state"] == "success"
