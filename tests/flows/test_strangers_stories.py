"""People who may not write: whose code runs, whose does not, and who may talk how much."""

from __future__ import annotations

from pathlib import Path

from tests.flows.app import Story, story, tf
from tests.flows.conftest import check_afterwards


def test_a_writer_allows_only_a_head_that_they_could_have_seen(app: Story) -> None:
    infra = app.repo(private=False)
    pull = infra.open_pull(by="stranger", fork="stranger/infra", files={"net/main.tf": tf(infra.backend("net"), v=1)})
    app.settle()
    pull.push(by="stranger", files={"net/main.tf": tf(infra.backend("net"), v=666)})
    pull.comment(by="bo", body="prbot plan")  # bo has read v=1
    app.settle()
    assert app.runs(pull) == []
    assert app.audit("head.allowed") == []
    said = [comment.body for comment in pull.comments()]
    assert any(f"`{pull.head_sha[:7]}` was pushed shortly before" in body for body in said)
    pull.comment(by="bo", body="prbot plan")
    app.settle()
    assert [run.head_sha for run in app.runs(pull)] == [pull.head_sha]
    assert [entry["commits"]["head"] for entry in app.audit("head.allowed")] == [pull.head_sha]


def test_a_writers_fork_that_somebody_else_pushed_to_waits_for_a_writer(app: Story) -> None:
    infra = app.repo(private=False)
    pull = infra.open_pull(by="al", fork="al/infra", files={"net/main.tf": tf(infra.backend("net"), v=1)})
    app.settle()
    assert len(app.runs(pull)) == 1
    pull.push(by="stranger", files={"net/main.tf": tf(infra.backend("net"), v=2)})
    app.settle()
    assert len(app.runs(pull)) == 1
    assert "Not planned yet" in pull.comments()[-1].body
    pull.push(by="al", files={"net/main.tf": tf(infra.backend("net"), v=3)})
    app.settle()
    assert app.runs(pull)[-1].head_sha == pull.head_sha


def test_a_writers_fork_that_somebody_else_pushed_before_it_was_opened_waits_for_a_writer(app: Story) -> None:
    infra = app.repo(private=False)
    files = {"net/main.tf": tf(infra.backend("net"), v=1)}
    app.world.hooks.hold()
    pull = infra.open_pull(by="al", fork="al/infra", files=files)
    pull.push(by="stranger", files={"net/more.tf": "# more\n"}, author="al")
    app.world.hooks.release()
    app.settle()
    assert app.runs(pull) == []
    assert any("Not planned yet" in comment.body for comment in pull.comments())
    gate = pull.status("prbot/gate")
    assert (gate["state"], gate["description"]) == (
        "pending", "somebody with write access must allow this head: prbot plan",
    )  # fmt: skip


def test_a_bot_that_the_rules_trust_is_planned_and_no_other(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text('defaults:\n  trusted: ["renovate[bot]"]\n')
    with story(tmp_path, rules=rules) as app:
        infra = app.repo()
        files = {"net/main.tf": tf(infra.backend("net"), v=1)}
        for login in ("renovate[bot]", "other[bot]"):
            app.world.user(login)
            infra.grant(login, "none")
        app.settle()
        known = infra.open_pull(by="renovate[bot]", files=files, branch="renovate/net")
        other = infra.open_pull(by="other[bot]", files=files, branch="other/net")
        app.settle()
        assert len(app.runs(known)) == 1
        assert app.runs(other) == []
        check_afterwards(app)


def test_a_draft_is_planned_when_it_is_ready_or_somebody_asks_where_the_rules_say_so(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text("defaults:\n  drafts: false\n")
    with story(tmp_path, rules=rules) as app:
        infra = app.repo()
        draft = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1)}, draft=True)
        other = infra.open_pull(by="al", files={"db/main.tf": tf(infra.backend("db"), v=1)}, draft=True)
        app.settle()
        assert app.runs(draft) == app.runs(other) == []
        draft.ready(by="al")
        other.comment(by="al", body="prbot plan")
        app.settle()
        assert len(app.runs(draft)) == len(app.runs(other)) == 1
        check_afterwards(app)


def test_who_may_not_is_told_once_and_asks_in_vain_ever_after(app: Story) -> None:
    infra = app.repo()
    pull = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1)})
    app.settle()
    for _ in range(3):
        pull.comment(by="ro", body="prbot apply")
        app.settle()
    assert len([comment for comment in pull.comments() if "Not allowed" in comment.body]) == 1
    assert len(app.audit("command.refused")) == 3
