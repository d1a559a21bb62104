"""The forge's merge queue asks of commits of its own: green only where all that they would merge meets its gate."""

from __future__ import annotations

from prbot.sandbox.pullrequest import SandboxPull
from prbot.sandbox.repository import SandboxRepo
from tests.flows.app import Story, tf

MET = ("success", "all requirements but the merge are met")


def opened(app: Story, infra: SandboxRepo, *names: str, approved: bool = True) -> list[SandboxPull]:
    pulls = [infra.open_pull(by="al", files={f"{name}/main.tf": tf(infra.backend(name), v=1)}) for name in names]
    app.settle()
    for pull in pulls if approved else ():
        pull.approve(by="bo")
    app.settle()
    return pulls


def told(infra: SandboxRepo, sha: str) -> tuple[str, str | None]:
    gate = infra.data.latest_statuses(sha)["prbot/gate"]
    return gate.state, gate.description


def test_what_is_queued_is_green_only_while_the_pull_request_meets_its_gate(app: Story) -> None:
    infra = app.repo()
    (pull,) = opened(app, infra, "net", approved=False)
    queued = pull.enqueue(by="al")
    app.settle()
    assert told(infra, queued) == ("failure", "not met: approved; see `prbot apply`")
    pull.approve(by="bo")
    app.settle()
    assert told(infra, queued) == MET
    pull.review(by="bo", state="CHANGES_REQUESTED")
    app.settle()
    assert told(infra, queued) == ("failure", "not met: approved; see `prbot apply`")
    assert len(app.runs(pull)) == 1


def test_what_is_queued_before_its_plan_is_there_waits_for_it(app: Story) -> None:
    infra = app.repo()
    app.settle()
    app.world.hooks.hold()
    pull = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1)})
    queued = pull.enqueue(by="al")
    app.world.hooks.release()
    app.settle()
    assert told(infra, queued)[0] == "failure"
    pull.approve(by="bo")
    app.settle()
    assert told(infra, queued) == MET


def test_in_a_group_each_one_before_must_be_met_as_well(app: Story) -> None:
    infra = app.repo()
    net, db, dns = opened(app, infra, "net", "db", "dns")
    first = net.enqueue(by="al")
    second = db.enqueue(by="al", behind=first)
    third = dns.enqueue(by="al", behind=second)
    app.settle()
    behind = ("success", "all requirements but the merge are met, also before it in the queue")
    assert [told(infra, sha) for sha in (first, second, third)] == [MET, behind, behind]
    net.review(by="bo", state="CHANGES_REQUESTED")
    app.settle()
    lacking = ("failure", "what is before it in the queue does not meet its gate")
    assert [told(infra, sha)[1] for sha in (second, third)] == [lacking[1]] * 2
    net.approve(by="bo")
    app.settle()
    assert [told(infra, sha) for sha in (first, second, third)] == [MET, behind, behind]


def test_what_is_not_known_to_be_before_it_is_waited_for(app: Story) -> None:
    infra = app.repo()
    net, db = opened(app, infra, "net", "db")
    app.world.hooks.hold()
    first = net.enqueue(by="al")
    app.world.hooks.release([])
    second = db.enqueue(by="al", behind=first)
    app.settle()
    assert told(infra, second) == ("pending", "what is before it in the queue is not known to be met yet")


def test_a_commit_that_holds_more_than_the_reviewed_head_is_not_green(app: Story) -> None:
    infra = app.repo()
    (net,) = opened(app, infra, "net")
    first = net.enqueue(by="al")
    app.settle()
    net.push(by="al", files={"net/more.tf": tf("", w=1)})
    app.settle()
    net.approve(by="bo")
    app.settle()
    assert net.status("prbot/gate")["state"] == "success"
    assert told(infra, first) == (
        "failure", "it holds something else than the pull request's head merged into what it stands on"
    )  # fmt: skip
