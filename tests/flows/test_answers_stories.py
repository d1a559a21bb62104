"""Answers are true at that moment, of every command of a comment, and none leads back to itself."""

from __future__ import annotations

import subprocess

from prbot.sandbox.pullrequest import SandboxPull
from prbot.sandbox.repository import SandboxRepo
from tests.flows.app import Story, tf

NO_ORPHAN = "No project of this repository is orphaned, so that there is nothing to forget."
DISCARDED = "discarded, so that it is not applied any more. A new pull request that changes it is."
NO_PROJECT = "> This merge changes no project that prbot applies."


def news(app: Story, *pulls: SandboxPull) -> list[str]:
    """What prbot wrote since this was asked last, without its hidden marks and the tables' rules."""
    app.settle()
    return [pull.next_comment().split("\n", 1)[1] for pull in pulls for _ in pull.unread_comments()]


def says(app: Story, pull: SandboxPull, body: str, by: str = "bo") -> list[str]:
    news(app, pull)
    pull.comment(by=by, body=body)
    return news(app, pull)


def opened(app: Story, infra: SandboxRepo, **values: int) -> SandboxPull:
    """A pull request that adds these outputs to the project `net`, and has its plan."""
    files = {f"net/{name}.tf": tf("", **{name: value}) for name, value in values.items()}
    if infra.read("net/main.tf") is None:
        files["net/main.tf"] = infra.backend("net")
    pull = infra.open_pull(by="al", files=files)
    app.settle()
    return pull


def test_every_command_of_a_comment_is_answered_and_what_is_merged_says_how_it_stands(app: Story) -> None:
    infra = app.repo()
    infra.commit("main", {"net/main.tf": tf(infra.backend("net"), v=1)}, by="root")
    docs = infra.open_pull(by="al", files={"docs/notes.md": "notes\n"})
    app.settle()
    assert says(app, docs, "prbot plan\nprbot plan -d nosuch\nprbot cancel\nprbot forget -d net", by="mo") == [
        "## Nothing to plan\n\nNo project is affected by what this pull request changes against `main`.",
        "## No such project\n\n> No project matches `-d nosuch`.\n\nThere is: `net`.",
        "## Nothing to cancel\n\n> Nothing runs here.",
        "## Nothing forgotten\n\n`@mo` asked for `forget`. " + NO_ORPHAN,
    ]
    docs.merge(by="al")
    app.settle()
    assert says(app, docs, "prbot plan\nprbot apply") == [
        f"## Nothing to plan\n\n{NO_PROJECT}", f"## Nothing to apply\n\n{NO_PROJECT}",
    ]  # fmt: skip
    removal = infra.open_pull(by="al", files={"net/main.tf": None, "x/terragrunt.hcl": "inputs = {}\n"})
    app.settle()
    removal.merge(by="al")
    app.settle()
    (told,) = says(app, removal, "prbot apply")
    assert told == (
        "## Nothing to apply\n\n- `x`: refused, so that nothing of it is applied. The comment on it says more.\n"
        "- `net`: orphaned. `prbot forget -d net` leaves it so."
    )


def test_who_waits_for_another_merge_is_told_so_and_what_was_given_up_stays_so(app: Story) -> None:
    infra = app.repo()
    first = opened(app, infra, a=1)
    first.merge(by="al")  # past the gate
    app.settle()
    gate = first.status("prbot/gate", first.head_sha)
    assert (gate["state"], gate["description"]) == ("error", "merged before it was met")
    (held,) = [each for each in news(app, first) if "Apply awaits" in each]
    assert "**Why:** It is not approved: no approval counts, and 1 is needed.\n" in held
    second = opened(app, infra, b=1)
    second.merge(by="al")
    told = news(app, second)[-1]
    assert told.startswith("## Apply waits for its turn\n")
    assert told.endswith("**Why:** `#1` was merged before and comes first.\n\nIt goes on by itself then.")
    plan, gates = says(app, second, "prbot plan\nprbot apply")
    assert plan == "## Nothing to plan\n\n> `net` waits. `#1` was merged before and comes first."
    assert "| `planned` | ❌ | net waits for its turn | wait for its turn |" in gates
    assert "| `approved` | ❌ | no approval counts, and 1 is needed | wait until the plan is shown |" in gates
    first.comment(by="mo", body="prbot unlock")
    app.settle()
    assert says(app, first, "prbot apply") == ["## Nothing to apply\n\n> `net`: " + DISCARDED]


def test_no_approval_releases_what_another_requirement_keeps(app: Story) -> None:
    infra = app.repo()
    infra.commit("main", {"net/main.tf": infra.backend("net")}, by="root")
    before = infra.head("main")
    pull = opened(app, infra, a=1)
    pull.merge(by="al")  # past the gate
    app.settle()
    (git,) = (app.root / "github" / "git").rglob("infra.git")
    move = ["git", "-C", str(git), "update-ref", "refs/heads/main"]
    subprocess.run([*move, before], check=True)
    told = says(app, pull, "prbot approve")[-1]
    assert told.startswith("## Not applied\n")
    merge = str(pull.merge_sha)[:7]
    assert (
        f"Its merge commit {merge} is not on main. To go on: bring {merge} back to main, or open a new pull request.\n"
        in told
    )
    assert "`prbot apply -d net` tries again" in told
    assert "prbot approve" not in told
    subprocess.run([*move, str(pull.merge_sha)], check=True)
    assert says(app, pull, "prbot apply -d net")[-1].startswith("## Applied\n")
    assert infra.state("net") == {"a": "1"}


def test_which_plans_wait_is_told_by_lines_that_can_be_pasted(app: Story) -> None:
    infra = app.repo()
    files = {f"{name}/main.tf": tf(infra.backend(name), v=1) for name in ("dns", "net")}
    pull = infra.open_pull(by="al", files=files)
    app.settle()
    bare, beef = says(app, pull, "prbot approve\nprbot approve beef")
    fingerprint = app.runs(pull)[0].fingerprint.rpartition(":")[2][:8]
    ways = f"There is: `prbot approve {fingerprint} -d dns`, `prbot approve {fingerprint} -d net`."
    assert bare.endswith(f"`@bo` asked for `approve`. 2 plans wait for approval: say which. {ways}")
    assert beef.endswith(f"`@bo` asked for `approve`. `beef` names no plan that waits for approval. {ways}")
    assert says(app, pull, f"prbot approve {fingerprint} -d dns\nprbot approve {fingerprint} -d net") == []
    assert pull.status("prbot/gate")["state"] == "success"


def test_a_pull_request_that_is_not_planned_as_it_is_is_not_told_to_plan(app: Story) -> None:
    infra = app.repo()
    pull = opened(app, infra, a=1)
    pull.close(by="al")
    app.settle()
    (closed,) = says(app, pull, "prbot apply")
    assert "| `planned` | ❌ | it is closed | reopen it: it is planned again then |" in closed
    assert "| `approved` | ❌ | no approval counts, and 1 is needed | see `planned` |" in closed
    assert "| `unlocked` | ❌ | this pull request does not hold net | see `planned` |" in closed
    assert "`prbot plan`" not in closed
    pull.reopen(by="al")
    infra.branch("dev")
    app.settle()
    pull.retarget(by="al", base="dev")
    app.settle()
    (elsewhere,) = says(app, pull, "prbot apply")
    assert "`prbot plan`" not in elsewhere


def test_whoever_approved_too_early_is_called_for_as_long_as_the_plan_is_shown(app: Story) -> None:
    infra = app.repo()
    pull = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1)})
    pull.approve(by="bo")
    app.settle()
    line = "You approved before this plan was here, @bo: please look at it, and approve again."
    (plan,) = [each for each in pull.comments() if "## Plan" in each.body]
    assert line in plan.body
    pull.merge(by="al")  # past the gate
    app.settle()
    (plan,) = [each for each in pull.comments() if "## Plan:" in each.body]
    assert line in plan.body
