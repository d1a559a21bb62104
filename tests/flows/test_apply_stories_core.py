"""After the merge: applied, held, queued, retried."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.flows.app import Story, shared_with_engines, story, tf


def reviewed(app: Story, value: int = 2, directory: str = "net"):  # type: ignore[no-untyped-def]
    infra = app.repo()
    infra.commit("main", {f"{directory}/main.tf": tf(infra.backend(directory), v=1)}, by="al")
    pull = infra.open_pull(by="al", files={f"{directory}/main.tf": tf(infra.backend(directory), v=value)})
    app.settle()
    pull.next_comment()
    pull.approve(by="bo")
    app.settle()
    return infra, pull


@pytest.mark.parametrize("method", ["merge", "squash", "rebase"])
def test_every_kind_of_merge_is_applied(app: Story, method: str) -> None:
    infra = app.repo()
    pull = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1)})
    pull.push(by="al", files={"net/more.tf": 'output "more" {\n  value = "yes"\n}\n'})
    app.settle()
    pull.approve(by="bo")
    app.settle()
    pull.merge(by="al", method=method)
    app.settle()
    assert infra.state("net") == {"v": "1", "more": "yes"}


def test_apply_before_approval_and_merge_says_all_that_is_missing(app: Story) -> None:
    infra = app.repo()
    pull = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1)})
    app.settle()
    pull.next_comment()
    pull.comment(by="al", body="prbot apply")
    app.settle()
    answer = pull.next_comment()
    assert "approved" in answer
    assert "merged" in answer


def test_main_moved_by_something_unrelated_is_applied_without_asking(app: Story) -> None:
    infra, pull = reviewed(app)
    infra.commit("main", {"docs/notes.md": "unrelated\n"}, by="bo")
    pull.merge(by="al")
    app.settle()
    assert infra.state("net") == {"v": "2"}


def test_main_moved_by_something_related_is_held_shown_and_applied_once_approved(app: Story) -> None:
    infra, pull = reviewed(app)
    sneaked = infra.commit("main", {"net/extra.tf": tf("", sneaked="in")}, by="bo")
    pull.merge(by="al")
    app.settle()
    held = pull.next_comment()
    assert (
        "The plan made after the merge does something else than what was approved. Since the approved plan was made, "
        f"main changed what this project reads, without a review: {sneaked[:7]} by bo."
    ) in held
    assert "terraform_data.sneaked" in held
    assert infra.state("net") == {}
    assert app.holder("net") == pull.number
    run = app.runs(pull, "apply")[-1]
    pull.comment(by="al", body=f"prbot approve {run.fingerprint.split(':')[1][:8]}")
    app.settle()
    assert "author" in pull.next_comment()
    pull.comment(by="mo", body=f"prbot approve {run.fingerprint.split(':')[1][:8]}")
    app.settle()
    assert infra.state("net") == {"v": "2", "sneaked": "in"}


def test_merged_without_approval_waits_for_one(app: Story) -> None:
    infra = app.repo()
    pull = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1)})
    app.settle()
    pull.next_comment()
    pull.merge(by="al")
    app.settle()
    pull.next_comment()
    assert infra.state("net") == {}
    pull.comment(by="bo", body="prbot approve")
    app.settle()
    assert infra.state("net") == {"v": "1"}


def test_a_second_pull_request_waits_is_told_its_place_and_is_planned_when_its_turn_comes(app: Story) -> None:
    infra = app.repo()
    first = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1)})
    app.settle()
    second = infra.open_pull(by="bo", files={"net/other.tf": tf("", w=1), "net/main.tf": tf(infra.backend("net"), v=1)})
    app.settle()
    assert f"#{first.number}" in second.next_comment()
    assert app.runs(second)[-1].speculative
    first.close(by="al")
    app.settle()
    assert app.holder("net") == second.number
    assert not app.runs(second)[-1].speculative


def test_a_waiting_pull_request_that_is_merged_first_goes_first(app: Story) -> None:
    infra = app.repo()
    infra.commit("main", {"net/main.tf": tf(infra.backend("net"), v=1)}, by="al")
    first = infra.open_pull(by="al", files={"net/a.tf": tf("", a=1)})
    app.settle()
    second = infra.open_pull(by="bo", files={"net/b.tf": tf("", b=1)})
    app.settle()
    second.approve(by="al")
    app.settle()
    second.merge(by="bo")
    app.settle()
    assert app.runs(second, "apply")[-1].status == "applied"
    assert infra.state("net") == {"v": "1", "b": "1"}
    assert app.holder("net") == first.number
    assert not app.runs(first)[-1].speculative


def test_a_failed_apply_keeps_its_lock_and_is_retried_within_what_was_approved(app: Story) -> None:
    infra = app.repo()
    gate = shared_with_engines(app.root) / "open-sesame"
    failing = (
        infra.backend("net")
        + '\nresource "terraform_data" "one" {\n  input = "1"\n}\n'
        + 'resource "terraform_data" "two" {\n  input = "2"\n  depends_on = [terraform_data.one]\n'
        + f'  provisioner "local-exec" {{\n    command = "test -e {gate}"\n  }}\n}}\n'
        + 'output "two" {\n  value = terraform_data.two.output\n}\n'
    )
    pull = infra.open_pull(by="al", files={"net/main.tf": failing})
    app.settle()
    pull.approve(by="bo")
    app.settle()
    pull.merge(by="al")
    app.settle()
    assert app.holder("net") == pull.number
    gate.touch()
    pull.comment(by="al", body="prbot apply")
    app.settle()
    assert infra.state("net") == {"two": "2"}
    assert app.holder("net") is None


def test_closed_without_merge_frees_the_lock_and_deletes_the_plans(app: Story) -> None:
    infra = app.repo()
    pull = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1)})
    app.settle()
    pull.close(by="al")
    app.settle()
    assert app.holder("net") is None
    assert not [path for path in (app.root / "data" / "plans").rglob("*") if path.is_file()]


def test_a_pure_move_is_applied(app: Story) -> None:
    infra, pull = reviewed(app)
    pull.merge(by="al")
    app.settle()
    moved = (
        tf(infra.backend("net"), v=2)
        .replace('"terraform_data" "v"', '"terraform_data" "renamed"')
        .replace("terraform_data.v.output", "terraform_data.renamed.output")
        + "\nmoved {\n  from = terraform_data.v\n  to   = terraform_data.renamed\n}\n"
    )
    again = infra.open_pull(by="al", files={"net/main.tf": moved})
    app.settle()
    again.approve(by="bo")
    app.settle()
    again.merge(by="al")
    app.settle()
    assert app.runs(again, "apply")[-1].status == "applied"


def test_a_pure_import_is_applied(app: Story) -> None:
    infra = app.repo()
    module = (
        infra.backend("net")
        + '\nresource "terraform_data" "old" {}\n\nimport {\n  to = terraform_data.old\n  id = "an-id-of-before"\n}\n'
        + 'output "id" {\n  value = terraform_data.old.id\n}\n'
    )
    pull = infra.open_pull(by="al", files={"net/main.tf": module})
    app.settle()
    pull.approve(by="bo")
    app.settle()
    pull.merge(by="al")
    app.settle()
    assert infra.state("net") == {"id": "an-id-of-before"}


def test_two_merged_changes_of_a_project_are_applied_in_the_order_of_their_merges(app: Story) -> None:
    infra, first = reviewed(app)
    second = infra.open_pull(by="bo", files={"net/b.tf": tf("", b=1)})
    app.settle()
    second.approve(by="al")
    app.settle()
    infra.commit("main", {"net/extra.tf": tf("", sneaked="in")}, by="root")  # so that the first one is held
    first.merge(by="al")
    app.settle()
    second.merge(by="bo")
    app.settle()
    assert app.runs(first, "apply")[-1].status == "held"
    assert app.runs(second, "apply")[-1].status == "waiting"
    assert f"#{first.number}" in second.comments()[-1].body
    run = app.runs(first, "apply")[-1]
    first.comment(by="mo", body=f"prbot approve {run.fingerprint.split(':')[1][:8]}")
    app.settle()
    assert infra.state("net")["v"] == "2"
    assert app.runs(first, "apply")[-1].status == "applied"
    assert app.runs(second, "apply")[-1].status != "waiting"


def test_the_rules_can_ask_for_prbot_apply_after_the_merge(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text('defaults:\n  apply: manual\n  locks: "off"\n')
    with story(tmp_path, rules=rules) as app:
        infra, pull = reviewed(app)
        assert app.holder("net") is None
        pull.merge(by="al")
        app.settle()
        assert infra.state("net") == {}
        pull.comment(by="al", body="prbot apply")
        app.settle()
        assert infra.state("net") == {"v": "2"}
