"""A pull request that changes where a state is kept says so, and is applied only as what it is."""

from __future__ import annotations

from pathlib import Path

from tests.flows.app import story, tf


def place(backend: str) -> str:
    return f"backend `http` with `address` `{backend.split(chr(34))[3]}`"


def test_a_second_copy_is_told_and_needs_an_approval_where_the_rules_ask_for_none(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text("defaults:\n  approvals: 0\n")
    with story(tmp_path, rules=rules) as app:
        infra = app.repo()
        first = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1)})
        app.settle()
        first.merge(by="al")
        app.settle()
        assert infra.state("net") == {"v": "1"}

        pull = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("network"), v=1)})
        app.settle()
        told = (
            f"This pull request changes where the state is kept, from {place(infra.backend('net'))} to "
            f"{place(infra.backend('network'))}. There is no state: the plan knows nothing of what exists, so that it "
            "would create a second copy of it. The old state stays where it is, and nothing manages what is in it any "
            "more. To keep managing that, move the state first (`terraform init -migrate-state`) and plan again. At "
            "least one approval is needed for this, whatever the rules say."
        )
        assert f"- `net`: {told}\n" in pull.comments()[-1].body
        assert pull.status("prbot/gate") == {
            "state": "pending",
            "description": "not met: approved; see `prbot apply`",
        } | {"target_url": pull.status("prbot/gate")["target_url"]}
        pull.merge(by="al")  # past the gate
        app.settle()
        assert app.runs(pull, "apply")[-1].status == "awaiting_approval"
        assert infra.state("network") == {}
        assert told in pull.comments()[-1].body
        pull.comment(by="bo", body="prbot approve")
        app.settle()
        assert infra.state("network") == {"v": "1"}
        assert infra.state("net") == {"v": "1"}

        back = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1)})
        app.settle()
        assert app.runs(back)[-1].status == "no_changes"  # it is where it was, and still needs somebody who looked
        assert "There is a state already (serial " in back.comments()[-1].body
        assert "approved" in str(back.status("prbot/gate")["description"])
        back.approve(by="bo")
        app.settle()
        assert "approved" not in str(back.status("prbot/gate")["description"])


def test_a_plan_that_was_approved_for_one_state_is_not_applied_to_another(tmp_path: Path) -> None:
    with story(tmp_path) as app:
        infra = app.repo()
        infra.commit("main", {"net/backend.tf": infra.backend("net"), "net/main.tf": tf("", v=1)}, by="al")
        pull = infra.open_pull(by="al", files={"net/more.tf": tf("", w=1)})
        app.settle()
        pull.approve(by="bo")
        app.settle()
        infra.commit("main", {"net/backend.tf": infra.backend("network")}, by="root")
        pull.merge(by="al")
        app.settle()
        run = app.runs(pull, "apply")[-1]
        assert (run.status, run.error) == (
            "held", "The approved plan was made against a state that is kept elsewhere than this one.",
        )  # fmt: skip
        assert run.error in pull.comments()[-1].body
        assert infra.state("network") == {}
