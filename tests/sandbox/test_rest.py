"""The REST API: who may what, how it refuses, pages, conditional requests, and the parts with a memory."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

import pytest
import requests
from github import Auth, Github

from prbot.sandbox.repository import SandboxRepo
from prbot.sandbox.world import World
from tests.sandbox.conftest import Api

REPO = "/repos/acme/infra"


@pytest.mark.parametrize("authorization", [None, "token ghp_wrong", "Basic abc", "token"])
def test_nothing_is_answered_without_a_good_token(world: World, infra: SandboxRepo, authorization: str | None) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    reply = requests.get(world.api_url + REPO, headers=headers, timeout=10)
    assert reply.status_code == 401
    assert reply.json()["message"] in ("Requires authentication", "Bad credentials")


def test_a_revoked_token_is_worthless(world: World, infra: SandboxRepo, api: Api) -> None:
    assert api("GET", REPO).status_code == 200
    world.revoke(world.token)
    assert api("GET", REPO).status_code == 401


def test_the_api_answers_as_on_api_github_com_too(world: World, infra: SandboxRepo) -> None:
    reply = requests.get(world.url + REPO, headers={"Authorization": f"Bearer {world.token}"}, timeout=10)
    assert reply.json()["url"] == world.api_url + REPO


def test_what_one_may_not_see_does_not_exist(world: World, infra: SandboxRepo) -> None:
    api = Api(world, world.token_for("stranger"))
    with api.session:
        assert api("GET", REPO).status_code == 404


def test_writing_takes_write_access(world: World, infra: SandboxRepo) -> None:
    pull = infra.open_pull(by="al", files={"x.tf": "#\n"})
    api = Api(world, world.token_for("ro"))
    with api.session:
        assert api("POST", f"{REPO}/statuses/{pull.head_sha}", {"state": "success"}).status_code == 403
        assert api("PUT", f"{REPO}/pulls/1/merge").status_code == 403
        assert api("GET", f"{REPO}/hooks").status_code == 404


def test_an_unknown_route_is_answered_501_and_remembered(world: World, infra: SandboxRepo, api: Api) -> None:
    assert api("GET", f"{REPO}/dependabot/alerts").status_code == 501
    assert api("DELETE", f"{REPO}/pulls/1/commits").status_code == 501
    headers = {"Authorization": f"token {world.token}"}
    assert requests.get(f"{world.url}/orgs/acme", headers=headers, timeout=10).status_code == 501
    assert world.unknown_routes == [
        f"GET /api/v3{REPO}/dependabot/alerts",
        f"DELETE /api/v3{REPO}/pulls/1/commits",
        "GET /orgs/acme",
    ]


def test_lists_come_in_pages_with_links(infra: SandboxRepo, api: Api) -> None:
    pull = infra.open_pull(by="al", files={"x.tf": "#\n"})
    ids = [pull.comment(by="bo", body=str(number)) for number in range(5)]
    seen, path = [], f"{REPO}/issues/1/comments?per_page=2"
    while path:
        reply = api("GET", path)
        seen += [comment["id"] for comment in reply.json()]
        path = reply.links.get("next", {}).get("url", "").partition("/api/v3")[2]
    assert seen == ids
    assert "last" in api("GET", f"{REPO}/issues/1/comments?per_page=2").links


def test_comments_are_listed_since_their_last_update(world: World, infra: SandboxRepo, api: Api) -> None:
    pull = infra.open_pull(by="al", files={"x.tf": "#\n"})
    first = pull.comment(by="bo", body="1")
    pull.comment(by="bo", body="2")
    since = world.clock.act().strftime("%Y-%m-%dT%H:%M:%SZ")
    pull.edit_comment(first, by="bo", body="3")
    assert [one["id"] for one in api("GET", f"{REPO}/issues/1/comments?since={since}").json()] == [first]


def test_what_did_not_change_is_answered_304(infra: SandboxRepo, api: Api) -> None:
    pull = infra.open_pull(by="al", files={"x.tf": "#\n"})
    path = f"{REPO}/issues/1/comments"
    tag = api("GET", path).headers["ETag"]
    assert api("GET", path, If_None_Match=tag).status_code == 304
    pull.comment(by="bo", body="new")
    assert api("GET", path, If_None_Match=tag).status_code == 200


def test_the_same_reaction_twice_is_one(infra: SandboxRepo, api: Api) -> None:
    pull = infra.open_pull(by="al", files={"x.tf": "#\n"})
    path = f"{REPO}/issues/comments/{pull.comment(by='bo', body='prbot plan')}/reactions"
    codes = [api("POST", path, {"content": "eyes"}).status_code for _ in range(2)]
    assert codes == [201, 200]
    assert pull.comments()[0].reactions == (("prbot-bot", "eyes"),)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/issues/1/comments", {"body": "x" * 65_537}),
        ("/issues/1/comments", {"body": " "}),
        ("/issues/1/comments", {}),
        ("/statuses/{sha}", {"state": "success", "description": "x" * 141}),
        ("/statuses/{sha}", {"state": "great"}),
        (f"/statuses/{'0' * 40}", {"state": "success"}),
        ("/pulls/1/reviews", {"event": "REQUEST_CHANGES"}),
        ("/pulls", {"title": "x", "head": "nowhere", "base": "main"}),
    ],
)
def test_what_github_finds_invalid_is_answered_422(
    infra: SandboxRepo, api: Api, path: str, body: dict[str, object]
) -> None:
    pull = infra.open_pull(by="al", files={"x.tf": "#\n"})
    reply = api("POST", REPO + path.format(sha=pull.head_sha), body)
    assert reply.status_code == 422
    assert {"message", "documentation_url"} <= reply.json().keys()


def test_the_longest_comment_and_description_are_taken(infra: SandboxRepo, api: Api) -> None:
    pull = infra.open_pull(by="al", files={"x.tf": "#\n"})
    assert api("POST", f"{REPO}/issues/1/comments", {"body": "x" * 65_536}).status_code == 201
    status = {"state": "success", "context": "prbot/plan", "description": "x" * 140}
    assert api("POST", f"{REPO}/statuses/{pull.head_sha}", status).status_code == 201
    assert pull.status("prbot/plan") == {"state": "success", "description": "x" * 140, "target_url": None}
    assert pull.status("prbot/apply") is None
    assert len(pull.next_comment()) == 65_536


def test_authors_cannot_approve_their_own_pull_request(world: World, infra: SandboxRepo) -> None:
    infra.open_pull(by="al", files={"x.tf": "#\n"})
    api = Api(world, world.token_for("al"))
    with api.session:
        assert api("POST", f"{REPO}/pulls/1/reviews", {"event": "APPROVE"}).status_code == 422


def test_mergeable_is_unknown_until_github_has_looked(infra: SandboxRepo, api: Api) -> None:
    pull = infra.open_pull(by="al", files={"net/main.tf": "# two\n"})
    pull.hide_mergeable(reads=1)
    seen = [api("GET", f"{REPO}/pulls/1").json() for _ in range(2)]
    assert [(one["mergeable"], one["mergeable_state"]) for one in seen] == [(None, "unknown"), (True, "clean")]
    infra.commit("main", {"net/main.tf": "# three\n"}, by="bo")
    conflicting = api("GET", f"{REPO}/pulls/1").json()
    assert (conflicting["mergeable"], conflicting["mergeable_state"]) == (False, "dirty")


def test_a_required_status_blocks_until_it_succeeds(infra: SandboxRepo, api: Api) -> None:
    pull = infra.open_pull(by="al", files={"x.tf": "#\n"})
    infra.protect("main", {"required_status_checks": {"strict": False, "contexts": ["prbot/gate"]}})
    assert api("GET", f"{REPO}/pulls/1").json()["mergeable_state"] == "blocked"
    assert api("PUT", f"{REPO}/pulls/1/merge").status_code == 405
    api("POST", f"{REPO}/statuses/{pull.head_sha}", {"state": "success", "context": "prbot/gate"})
    assert api("GET", f"{REPO}/pulls/1").json()["mergeable_state"] == "clean"


def test_a_merge_takes_the_head_that_was_looked_at(infra: SandboxRepo, api: Api) -> None:
    pull = infra.open_pull(by="al", files={"x.tf": "#\n"})
    seen = pull.head_sha
    pull.push(by="al", files={"y.tf": "#\n"})
    assert api("PUT", f"{REPO}/pulls/1/merge", {"sha": seen}).status_code == 409
    merged = api("PUT", f"{REPO}/pulls/1/merge", {"sha": pull.head_sha, "merge_method": "squash"}).json()
    assert merged["sha"] == pull.merge_sha == infra.head("main")
    assert api("GET", f"{REPO}/pulls/1").json()["merged_by"]["login"] == "prbot-bot"


@pytest.mark.parametrize(
    ("login", "permission", "role"),
    [
        ("ro", "read", "read"),
        ("al", "write", "write"),
        ("mo", "write", "maintain"),
        ("root", "admin", "admin"),
        ("stranger", "none", "none"),
    ],
)
def test_the_role_tells_more_than_the_permission(
    infra: SandboxRepo, api: Api, login: str, permission: str, role: str
) -> None:
    told = api("GET", f"{REPO}/collaborators/{login}/permission").json()
    assert (told["permission"], told["role_name"], told["user"]["login"]) == (permission, role, login)


def test_activity_tells_who_pushed_what_others_wrote(infra: SandboxRepo, api: Api) -> None:
    pull = infra.open_pull(by="al", files={"x.tf": "#\n"})
    sha = pull.push(by="bo", files={"y.tf": "#\n"}, author="al")
    newest = api("GET", f"{REPO}/activity?ref=al-1&per_page=1").json()[0]
    assert (newest["actor"]["login"], newest["after"], newest["activity_type"]) == ("bo", sha, "push")
    assert api("GET", f"{REPO}/commits/{sha}").json()["author"]["login"] == "al"


def test_old_comments_are_hidden_by_graphql(world: World, infra: SandboxRepo) -> None:
    pull = infra.open_pull(by="al", files={"x.tf": "#\n"})
    client = Github(auth=Auth.Token(world.token), base_url=world.api_url, seconds_between_writes=None, retry=None)
    try:
        comment = client.get_repo("acme/infra").get_issue(1).create_comment("old")
        assert comment.minimize("OUTDATED")
        assert pull.comments()[0].minimized == "outdated"
        assert pull.next_comment() == "old"
        world.refuse_graphql()
        with pytest.raises(Exception, match="not accessible"):
            comment.minimize("OUTDATED")
    finally:
        client.close()
    assert world.unknown_routes == []


def test_an_app_has_no_user(tmp_path: Path) -> None:
    with World(tmp_path, bot="prbot[bot]") as world:
        world.repo("acme/infra", {"a": "1\n"})
        api = Api(world, world.token)
        with api.session:
            assert api("GET", "/user").status_code == 403
            assert api("GET", f"{REPO}/collaborators/prbot[bot]/permission").json()["user"]["type"] == "Bot"


def test_times_are_whole_seconds_and_a_persons_act_is_later_than_all_before(
    world: World, infra: SandboxRepo, api: Api
) -> None:
    pull = infra.open_pull(by="al", files={"x.tf": "#\n"})
    plan = api("POST", f"{REPO}/issues/1/comments", {"body": "plan"}).json()
    pull.approve(by="bo")
    review = api("GET", f"{REPO}/pulls/1/reviews").json()[0]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", review["submitted_at"])
    assert review["submitted_at"] > plan["updated_at"]
    edited = api("PATCH", f"{REPO}/issues/comments/{plan['id']}", {"body": "plan 2"}).json()
    assert edited["updated_at"] >= review["submitted_at"]
    with world.clock.same_second() as second:
        assert pull.approve(by="mo")
        assert datetime.fromisoformat(api("GET", f"{REPO}/pulls/1/reviews").json()[1]["submitted_at"]) == second


def test_the_clock_needs_no_real_time(tmp_path: Path) -> None:
    with World(tmp_path, real_time=lambda: 1_800_000_000) as world:
        infra = world.repo("acme/infra", {"a": "1\n"})
        shas = infra.head()
        world.tick(60)
        pull = infra.open_pull(by="al", files={"b": "2\n"})
        assert int(pull.data.created_at.timestamp()) == 1_800_000_063
        assert shas == infra.head()


def test_requests_are_recorded_by_their_route(world: World, infra: SandboxRepo, api: Api) -> None:
    api("GET", f"{REPO}/pulls/7")
    last = world.requests[-1]
    assert (last.method, last.route, last.status, last.user) == ("GET", "get_pull", 404, "prbot-bot")
