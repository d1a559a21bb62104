"""A pull request with more commits than its list at the forge holds."""

from __future__ import annotations

from prbot.sandbox.acts import pushes
from prbot.sandbox.gitrepos import NewCommit, Signature
from tests.flows.app import Story, tf


def test_whoever_wrote_the_251st_commit_does_not_approve_it(app: Story) -> None:
    infra = app.repo()
    pull = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1)})
    app.settle()
    git, before = infra.data.git, pull.head_sha
    tip, tree = before, git.info(before).tree
    for number in range(250):
        who = app.world.user("mo" if number == 249 else "al")
        made = Signature(who.login, who.email, app.world.clock.now())
        tip = git.commit_tree(tree, [tip], NewCommit(f"Change {number}", made, made))
    branch = pull.data.head_ref
    git.set_ref(f"refs/heads/{branch}", tip)
    pushes.pushed(app.world.hub, infra.data, pushes.RefChange(branch, before, tip, "push"), "al")
    app.settle()
    pull.approve(by="mo")
    app.settle()
    assert pull.status("prbot/gate")["state"] == "pending"
    pull.comment(by="mo", body="prbot apply")
    app.settle()
    assert "mo" in pull.comments()[-1].body
    pull.approve(by="bo")
    app.settle()
    assert pull.status("prbot/gate")["state"] == "success"
