from __future__ import annotations

from datetime import UTC, datetime

import pytest
from structlog.testing import capture_logs

from prbot.core.ids import PullKey
from prbot.core.pulls import Posted, Status
from prbot.github.client import GitHubForge
from prbot.ports import Conflict, NotFound, Transient
from tests.adapters.github.conftest import Timeline
from tests.adapters.github.documents import HEAD, comment
from tests.adapters.github.scripted import Answer, ScriptedGitHub

KEY = PullKey("acme/infra", 7)
COMMENTS = "POST /repos/acme/infra/issues/7/comments"
REACTIONS = "POST /repos/acme/infra/issues/comments/41/reactions"
HIDDEN = {"data": {"minimizeComment": {"minimizedComment": {"isMinimized": True}}}}


def test_a_comment_is_written_and_timed_by_githubs_clock(github: ScriptedGitHub, forge: GitHubForge) -> None:
    github.on(COMMENTS, Answer(201, comment(41, "Planned é 🚀")))
    at = datetime(2026, 11, 20, 12, 0, 1, tzinfo=UTC)
    assert forge.create_comment(KEY, "Planned é 🚀") == Posted(41, "IC_kwDO41", at)
    assert github.asked[0].body == {"body": "Planned é 🚀"}


def test_a_write_is_sent_once_whatever_becomes_of_it(
    github: ScriptedGitHub, forge: GitHubForge, timeline: Timeline
) -> None:
    github.on(COMMENTS, Answer(502, "<html>Bad gateway</html>"), Answer(how="drop"))
    for _ in range(2):
        with pytest.raises(Transient):
            forge.create_comment(KEY, "once")
    assert len(github.asked) == 2
    assert timeline.slept == []


def test_a_comment_is_edited_and_one_that_is_gone_is_not_found(github: ScriptedGitHub, forge: GitHubForge) -> None:
    route = "PATCH /repos/acme/infra/issues/comments/41"
    github.on(route, Answer(body=comment(41, "new")), Answer(404, {"message": "Not Found"}))
    assert forge.edit_comment("acme/infra", 41, "new").id == 41
    assert github.asked[0].body == {"body": "new"}
    with pytest.raises(NotFound):
        forge.edit_comment("acme/infra", 41, "newer")


def test_a_refused_comment_says_why(github: ScriptedGitHub, forge: GitHubForge) -> None:
    errors = [{"resource": "IssueComment", "code": "unprocessable", "field": "data", "message": "Body is too long"}]
    github.on(COMMENTS, Answer(422, {"message": "Validation Failed", "errors": errors}))
    with pytest.raises(Conflict) as refused:
        forge.create_comment(KEY, "x")
    assert str(refused.value) == (
        "GitHub answered 422 to POST /repos/acme/infra/issues/7/comments: "
        "Validation Failed (IssueComment data unprocessable Body is too long)"
    )


def test_a_reaction_that_is_already_there_is_fine(github: ScriptedGitHub, forge: GitHubForge) -> None:
    github.on(REACTIONS, Answer(201, {"id": 1, "content": "eyes"}), Answer(200, {"id": 1, "content": "eyes"}))
    forge.react("acme/infra", 41, "eyes")
    forge.react("acme/infra", 41, "eyes")
    assert [asked.body for asked in github.asked] == [{"content": "eyes"}] * 2


def test_a_status_has_a_target_only_if_there_is_one(github: ScriptedGitHub, forge: GitHubForge) -> None:
    github.on(f"POST /repos/acme/infra/statuses/{HEAD}", Answer(201, {"id": 1}), Answer(201, {"id": 2}))
    forge.set_status("acme/infra", HEAD, Status("prbot/gate", "failure", "2 requirements unmet"))
    forge.set_status("acme/infra", HEAD, Status("prbot/plan", "success", "1 project", "https://prbot.example/runs/1"))
    plain = {"state": "failure", "context": "prbot/gate", "description": "2 requirements unmet"}
    assert github.asked[0].body == plain
    assert github.asked[1].body["target_url"] == "https://prbot.example/runs/1"


def test_an_old_comment_is_hidden_over_graphql(github: ScriptedGitHub, forge: GitHubForge) -> None:
    github.on("POST /graphql", Answer(body=HIDDEN))
    assert forge.hide_comment("acme/infra", "IC_kwDO41") is True
    assert github.asked[0].path == "/api/graphql"
    assert github.asked[0].body["variables"] == {"id": "IC_kwDO41"}
    assert "classifier: OUTDATED" in github.asked[0].body["query"]


def test_where_comments_cannot_be_hidden_they_stay_and_prbot_says_so_once(
    github: ScriptedGitHub, forge: GitHubForge
) -> None:
    forbidden = {"data": None, "errors": [{"type": "FORBIDDEN", "message": "Resource not accessible by integration"}]}
    absent, html = Answer(404, {"message": "Not Found"}), Answer(body="<html>", headers={"Content-Type": "text/html"})
    refused = Answer(body=forbidden)
    github.on("POST /graphql", refused, refused, absent, absent, Answer(501, None), html)
    with capture_logs() as logs:
        assert [forge.hide_comment("acme/infra", "IC_1") for _ in range(6)] == [False] * 6
    assert [(line["event"], line["what"]) for line in logs] == [("github.degraded", "minimize")] * 3
    assert "Resource not accessible by integration" in logs[0]["refusal"]
