"""Plans, as the people on a pull request see them."""

from __future__ import annotations

from tests.flows.app import Story, tf


def test_a_plan_by_comment_is_acknowledged_and_done(app: Story) -> None:
    infra = app.repo()
    pull = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1)})
    app.settle()
    pull.next_comment()
    pull.comment(by="bo", body="prbot plan -d net")
    app.settle()
    asked = next(comment for comment in pull.comments() if comment.body == "prbot plan -d net")
    assert "eyes" in str(asked.reactions)
    assert len(app.runs(pull, "plan")) == 2


def test_a_typo_gets_a_suggestion_and_an_unknown_directory_the_valid_ones(app: Story) -> None:
    infra = app.repo()
    pull = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1)})
    app.settle()
    pull.next_comment()
    pull.comment(by="bo", body="prbot plna")
    app.settle()
    assert "`plan`" in pull.next_comment()
    pull.comment(by="bo", body="prbot plan -d nat")
    app.settle()
    assert "`net`" in pull.next_comment()


def test_somebody_without_write_access_gets_one_refusal_and_nothing_runs(app: Story) -> None:
    infra = app.repo()
    pull = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1)})
    app.settle()
    pull.next_comment()
    pull.comment(by="ro", body="prbot plan")
    app.settle()
    assert "write access" in pull.next_comment()
    assert len(app.runs(pull)) == 1


def test_of_two_projects_one_fails_with_terraforms_own_words_and_the_other_is_planned(app: Story) -> None:
    infra = app.repo()
    broken = infra.backend("db") + '\noutput "x" {\n  value = terraform_data.missing.output\n}\n'
    pull = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1), "db/main.tf": broken})
    app.settle()
    comment = pull.next_comment()
    assert "Reference to undeclared resource" in comment
    assert pull.status("prbot/plan")["state"] == "failure"
    assert pull.status("prbot/plan: net")["state"] == "success"
    assert pull.status("prbot/plan: db")["state"] == "failure"


def test_a_pull_request_without_projects_meets_the_gate_and_gets_no_comment(app: Story) -> None:
    infra = app.repo()
    pull = infra.open_pull(by="al", files={"README.md": "more words\n"})
    app.settle()
    assert pull.status("prbot/plan")["state"] == "success"
    assert pull.status("prbot/gate")["state"] == "success"
    assert pull.comments() == []
    pull.merge(by="al")
    app.settle()
    assert app.runs(pull) == []


def test_a_base_that_is_not_governed_is_left_alone_and_the_reason_is_on_record(app: Story) -> None:
    infra = app.repo()
    infra.branch("topic", infra.head("main"))
    pull = infra.open_pull(by="al", base="topic", files={"net/main.tf": tf(infra.backend("net"), v=1)})
    app.settle()
    assert pull.comments() == []
    assert pull.statuses() == {}
    assert "neither the default branch" in app.audit("delivery.ignored")[-1]["facts"]["reason"]


def test_a_merge_conflict_names_the_files(app: Story) -> None:
    infra = app.repo()
    infra.commit("main", {"net/main.tf": tf(infra.backend("net"), v=1)}, by="al")
    pull = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=2)})
    app.settle()
    pull.next_comment()
    infra.commit("main", {"net/main.tf": tf(infra.backend("net"), v=3)}, by="bo")
    pull.comment(by="al", body="prbot plan")
    app.settle()
    assert "net/main.tf" in pull.next_comment()
    assert pull.status("prbot/plan")["state"] == "failure"


def test_state_in_the_checkout_is_refused_with_how_to_fix_it(app: Story) -> None:
    infra = app.repo()
    pull = infra.open_pull(by="al", files={"net/main.tf": tf("", v=1)})
    app.settle()
    assert "backend" in pull.next_comment()
    assert pull.status("prbot/gate")["state"] == "failure"


def test_a_strangers_head_runs_only_once_a_writer_allows_it(app: Story) -> None:
    infra = app.repo(private=False)
    pull = infra.open_pull(by="stranger", fork="stranger/infra", files={"net/main.tf": tf(infra.backend("net"), v=1)})
    app.settle()
    assert "write access" in pull.next_comment()
    assert app.runs(pull) == []
    pull.comment(by="stranger", body="prbot plan")
    app.settle()
    assert "write access" in pull.next_comment()
    assert app.runs(pull) == []
    pull.comment(by="bo", body="prbot plan")
    app.settle()
    assert "`net`" in pull.next_comment()
    pull.push(by="stranger", files={"net/main.tf": tf(infra.backend("net"), v=2)})
    app.settle()
    assert "write access" in pull.next_comment()
    assert len(app.runs(pull)) == 1
