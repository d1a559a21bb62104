"""Who may what, as GitHub tells it."""

from __future__ import annotations

import pytest

from prbot.github.client import GitHubForge
from prbot.ports import Denied, NotFound
from tests.adapters.github.conftest import Timeline
from tests.adapters.github.documents import user
from tests.adapters.github.scripted import Answer, ScriptedGitHub

ROLE = "GET /repos/acme/infra/collaborators/bo/permission"


@pytest.mark.parametrize(
    ("permission", "role_name", "role"),
    [
        ("admin", "admin", "admin"),
        ("write", "maintain", "maintain"),
        ("write", "write", "write"),
        ("read", "triage", "triage"),
        ("read", "read", "read"),
        ("none", "none", "none"),
        ("write", "Release engineer", "write"),  # a custom role
        ("read", None, "read"),  # an older server
    ],
)
def test_a_role_is_read_by_name_and_a_custom_one_by_its_base(
    github: ScriptedGitHub, forge: GitHubForge, permission: str, role_name: str | None, role: str
) -> None:
    github.on(ROLE, Answer(body={"permission": permission, "role_name": role_name, "user": user("bo")}))
    assert forge.role("acme/infra", "bo") == role


def test_whoever_is_no_collaborator_has_no_role(github: ScriptedGitHub, forge: GitHubForge) -> None:
    github.on(ROLE, Answer(404, {"message": "bo is not a user"}))
    assert forge.role("acme/infra", "bo") == "none"


def test_that_somebody_has_no_role_is_believed_after_a_minute_without_another_answer(
    github: ScriptedGitHub, forge: GitHubForge, timeline: Timeline
) -> None:
    nobody, writer = Answer(404, {"message": "Not Found"}), Answer(body={"permission": "write", "role_name": "write"})
    github.on(ROLE, nobody, writer, nobody, nobody, nobody)
    told: list[str] = []
    for _ in range(5):
        try:
            told.append(forge.role("acme/infra", "bo"))
        except NotFound:
            told.append("unknown")
        timeline.sleep(35)
    assert told == ["unknown", "write", "unknown", "unknown", "none"]


def test_a_missing_role_of_another_hour_says_nothing_of_this_one(
    github: ScriptedGitHub, forge: GitHubForge, timeline: Timeline
) -> None:
    github.on(ROLE, *[Answer(404, {"message": "Not Found"})] * 3)
    for pause in (3600, 61):
        with pytest.raises(NotFound):
            forge.role("acme/infra", "bo")
        timeline.sleep(pause)
    assert forge.role("acme/infra", "bo") == "none"


def test_a_role_is_not_remembered(github: ScriptedGitHub, forge: GitHubForge) -> None:
    github.on(ROLE, *(Answer(body={"permission": word, "role_name": word}) for word in ("write", "read")))
    assert [forge.role("acme/infra", "bo"), forge.role("acme/infra", "bo")] == ["write", "read"]


def test_a_role_that_we_may_not_read_is_denied_not_none(github: ScriptedGitHub, forge: GitHubForge) -> None:
    github.on(ROLE, Answer(403, {"message": "Must have push access to view collaborator permission."}))
    with pytest.raises(Denied, match="Must have push access"):
        forge.role("acme/infra", "bo")
