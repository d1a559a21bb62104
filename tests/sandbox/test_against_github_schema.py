"""The stand-in's replies and webhooks, held against what GitHub publishes about its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from github.Auth import AppAuth
from jsonschema import Draft202012Validator

from prbot.sandbox.hooks import Delivery
from prbot.sandbox.repository import SandboxRepo
from prbot.sandbox.world import World
from tests.sandbox.conftest import Api
from tests.sandbox.published import needs_descriptions, payload_validator, reply_validator

pytestmark = needs_descriptions

REPO = "/repos/{owner}/{repo}"
PULL = f"{REPO}/pulls/{{pull_number}}"
COMMENT = f"{REPO}/issues/comments/{{comment_id}}"
PROTECTION = {
    "url": "http://127.0.0.1/protection",
    "required_status_checks": {"strict": False, "contexts": ["prbot/gate"], "checks": []},
}
RULES: list[dict[str, Any]] = [
    {"type": "deletion", "ruleset_source_type": "Repository", "ruleset_source": "acme/infra", "ruleset_id": 1}
]


class Ask(NamedTuple):
    """One request, by GitHub's own template of its path. `over` replaces facts of the template."""

    method: str
    template: str
    status: int = 200
    json: dict[str, object] | None = None
    over: dict[str, object] | None = None
    query: str = ""


ASKS = [
    Ask("GET", "/user"),
    Ask("GET", "/user/repos"),
    Ask("GET", "/rate_limit"),
    Ask("GET", REPO),
    Ask("GET", f"{REPO}/pulls", query="?state=all"),
    Ask("POST", f"{REPO}/pulls", 201, {"title": "Again", "head": "spare", "base": "main"}),
    Ask("GET", PULL),
    Ask("GET", PULL, over={"pull_number": 2}),
    Ask("GET", PULL, over={"pull_number": 3}),
    Ask("PATCH", PULL, json={"title": "New title"}),
    Ask("GET", f"{PULL}/commits"),
    Ask("GET", f"{PULL}/files"),
    Ask("GET", f"{PULL}/reviews"),
    Ask("POST", f"{PULL}/reviews", json={"event": "APPROVE"}),
    Ask("GET", f"{PULL}/reviews/{{review_id}}"),
    Ask("PUT", f"{PULL}/reviews/{{review_id}}/dismissals", json={"message": "outdated"}),
    Ask("PUT", f"{PULL}/update-branch", 202, over={"pull_number": 4}),
    Ask("PUT", f"{PULL}/merge", json={"merge_method": "squash"}, over={"pull_number": 4}),
    Ask("GET", f"{REPO}/issues/{{issue_number}}"),
    Ask("GET", f"{REPO}/issues/{{issue_number}}/comments"),
    Ask("POST", f"{REPO}/issues/{{issue_number}}/comments", 201, {"body": "hello"}),
    Ask("GET", f"{REPO}/issues/{{issue_number}}/labels"),
    Ask("POST", f"{REPO}/issues/{{issue_number}}/labels", json={"labels": ["urgent"]}),
    Ask("GET", COMMENT),
    Ask("PATCH", COMMENT, json={"body": "hello again"}),
    Ask("GET", f"{COMMENT}/reactions"),
    Ask("POST", f"{COMMENT}/reactions", 201, {"content": "rocket"}),
    Ask("POST", f"{COMMENT}/reactions", 200, {"content": "eyes"}),
    Ask("POST", f"{REPO}/statuses/{{sha}}", 201, {"state": "success", "context": "prbot/plan"}),
    Ask("GET", f"{REPO}/commits/{{ref}}/status"),
    Ask("GET", f"{REPO}/commits/{{ref}}/statuses"),
    Ask("GET", f"{REPO}/compare/{{basehead}}", over={"basehead": "main...spare"}),
    Ask("GET", f"{REPO}/commits/{{ref}}"),
    Ask("GET", f"{REPO}/commits/{{ref}}", over={"ref": "main"}),
    Ask("GET", f"{REPO}/collaborators/{{username}}/permission"),
    Ask("GET", f"{REPO}/branches/{{branch}}"),
    Ask("GET", f"{REPO}/branches/{{branch}}/protection"),
    Ask("GET", f"{REPO}/rules/branches/{{branch}}"),
    Ask("GET", f"{REPO}/activity"),
    Ask("GET", f"{REPO}/hooks"),
    Ask("GET", f"{REPO}/hooks/{{hook_id}}"),
    Ask("GET", f"{REPO}/hooks/{{hook_id}}/deliveries"),
    Ask("GET", f"{REPO}/hooks/{{hook_id}}/deliveries/{{delivery_id}}"),
    Ask("GET", REPO, 404, over={"repo": "nowhere"}),
    Ask("GET", f"{REPO}/branches/{{branch}}/protection", 404, over={"branch": "spare"}),
    Ask("POST", f"{REPO}/issues/{{issue_number}}/comments", 422, {"body": "x" * 65_537}),
    Ask("PUT", f"{PULL}/merge", 405, over={"pull_number": 3}),
    Ask("PUT", f"{PULL}/merge", 409, {"sha": "0" * 40}),
]


JWT, INSTALLED = "jwt", "installed"
CHECK: dict[str, object] = {
    "name": "prbot/plan",
    "head_sha": "{sha}",
    "status": "in_progress",
    "output": {"title": "planning", "summary": "one project"},
    "actions": [{"label": "Plan again", "description": "Plans this commit", "identifier": "plan"}],
}
DEPLOYMENT: dict[str, object] = {
    "ref": "main",
    "environment": "net",
    "auto_merge": False,
    "required_contexts": [],
    "description": "net",
}
STATUS: dict[str, object] = {"state": "success", "log_url": "https://prbot.example/runs/1", "description": "applied"}
APP_ASKS = [
    (JWT, Ask("GET", "/app")),
    (JWT, Ask("GET", "/app/hook/config")),
    # not GET /app/installations: its description wants an account to be a user and an enterprise at once
    (JWT, Ask("GET", f"{REPO}/installation")),
    (JWT, Ask("GET", f"{REPO}/installation", 404, over={"repo": "nowhere"})),
    (JWT, Ask("POST", "/app/installations/{installation_id}/access_tokens", 201, {"repositories": ["infra"]})),
    (JWT, Ask("POST", "/app/installations/{installation_id}/access_tokens", 422, {"repositories": ["nowhere"]})),
    (JWT, Ask("POST", "/app-manifests/{code}/conversions", 201)),
    (JWT, Ask("POST", "/app-manifests/{code}/conversions", 404, over={"code": "spent"})),
    (INSTALLED, Ask("GET", "/installation/repositories")),
    (INSTALLED, Ask("POST", f"{REPO}/check-runs", 201, CHECK)),
    (INSTALLED, Ask("PATCH", f"{REPO}/check-runs/{{check_run_id}}", 200, {"conclusion": "success"})),
    (INSTALLED, Ask("GET", f"{REPO}/check-runs/{{check_run_id}}")),
    (INSTALLED, Ask("GET", f"{REPO}/commits/{{ref}}/check-runs")),
    (INSTALLED, Ask("POST", f"{REPO}/deployments", 201, DEPLOYMENT)),
    (INSTALLED, Ask("POST", f"{REPO}/deployments/{{deployment_id}}/statuses", 201, STATUS)),
]


class Github(NamedTuple):
    """A stand-in where something of every kind has happened, and its facts by GitHub's names for them."""

    api: Api
    facts: dict[str, object]
    deliveries: list[Delivery]
    as_app: dict[str, Api]


@pytest.fixture(scope="module")
def github(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Github]:
    with World(tmp_path_factory.mktemp("github")) as world:
        world.hooks.lose_next(10_000)
        world.connect("http://127.0.0.1:9/webhooks/github")
        infra = world.repo("acme/infra", {"net/main.tf": "# one\n", "gone.tf": "#\n", "old.tf": "# a long line\n" * 9})
        facts = _live(infra)
        api = Api(world, world.token)
        facts |= {"hook_id": infra.data.hooks[0].id, "delivery_id": world.deliveries[-1].id}
        as_app = _app_acts(infra, facts)
        with api.session, as_app[JWT].session, as_app[INSTALLED].session:
            yield Github(api, facts, world.deliveries, as_app)


def _app_acts(infra: SandboxRepo, facts: dict[str, object]) -> dict[str, Api]:
    """Let an App write, and people press its buttons. Adds to the facts."""
    world, pull = infra.world, infra.pull(1)
    app = world.app("acme")
    app.connect("http://127.0.0.1:9/webhooks/github", "a-secret-of-the-app")
    (installation,) = world.hub.state.apps.installations
    token = world.hub.state.apps.mint(world.hub.state.apps.installations[installation], world.clock.now(), None, None)
    as_app = {JWT: Api(world, AppAuth(app.id, app.private_key).create_jwt()), INSTALLED: Api(world, token)}
    check = as_app[INSTALLED]("POST", "/repos/acme/infra/check-runs", _filled(CHECK, facts))
    deployed = as_app[INSTALLED]("POST", "/repos/acme/infra/deployments", DEPLOYMENT)
    pull.rerun(by="bo", name="prbot/plan")
    pull.rerun_all(by="bo", name="prbot/plan")
    pull.press(by="bo", name="prbot/plan", identifier="plan")
    manifest: dict[str, object] = {
        "name": "more",
        "default_permissions": {"metadata": "read"},
        "default_events": ["pull_request"],
    }
    world.hub.state.apps.manifests["c0de"] = manifest
    assert (check.status_code, deployed.status_code) == (201, 201), check.text + deployed.text
    facts |= {"check_run_id": check.json()["id"], "deployment_id": deployed.json()["id"]}
    facts |= {"installation_id": installation, "code": "c0de"}
    return as_app


def _live(infra: SandboxRepo) -> dict[str, object]:
    """Let everything happen that a webhook tells of."""
    first = infra.open_pull(by="al", files={"net/main.tf": "# two\n", "new.tf": "#\n"}, deletes=["gone.tf"], draft=True)
    comment = first.comment(by="bo", body="prbot plan")
    first.edit_comment(comment, by="bo", body="prbot plan -d net")
    first.delete_comment(first.comment(by="bo", body="never mind"), by="bo")
    first.ready(by="al")
    first.to_draft(by="al")
    first.ready(by="al")
    first.label(by="mo", name="infra")
    first.label(by="mo", name="passing")
    first.unlabel(by="mo", name="passing")
    first.push(by="al", files={"renamed.tf": "# a long line\n" * 9, "old.tf": None})
    first.force_push(by="al", files={"net/main.tf": "# three\n", "gone.tf": None}, author="someone-else")
    review = first.approve(by="bo")
    first.dismiss(first.review(by="mo", state="CHANGES_REQUESTED", body="no"), by="root")
    first.review(by="ro", state="COMMENTED", body="hm")
    first.close(by="al")
    first.reopen(by="al")
    infra.branch("release")
    first.retarget(by="al", base="release")
    first.retarget(by="al", base="main")
    infra.open_pull(by="bo", files={"b.tf": "#\n"}).merge(by="mo")
    infra.open_pull(by="stranger", files={"c.tf": "#\n"}, fork="stranger/infra").close(by="stranger")
    infra.open_pull(by="al", files={"d.tf": "#\n"})
    infra.pull(4).enqueue(by="mo")
    infra.commit("main", {"e.tf": "#\n"}, by="bo")
    infra.commit("spare", {"f.tf": "#\n"}, by="al")
    infra.branch("old")
    infra.delete_branch("old", by="root")
    infra.protect("main", None, RULES)
    infra.protect("release", PROTECTION)
    _settle_by_api(infra, first.head_sha, comment)
    return {
        "owner": "acme",
        "repo": "infra",
        "pull_number": first.number,
        "issue_number": first.number,
        "comment_id": comment,
        "review_id": review,
        "sha": first.head_sha,
        "ref": first.head_sha,
        "username": "mo",
        "branch": "release",
    }


def _settle_by_api(infra: SandboxRepo, head: str, comment: int) -> None:
    """What only a program does: a status and a reaction."""
    world = infra.world
    api = Api(world, world.token)
    with api.session:
        status = {"state": "pending", "context": "prbot/gate", "description": "waits", "target_url": world.url}
        assert api("POST", f"/repos/acme/infra/statuses/{head}", status).status_code == 201
        reaction = {"content": "eyes"}
        path = f"/repos/acme/infra/issues/comments/{comment}/reactions"
        assert api("POST", path, reaction).status_code == 201


@pytest.mark.parametrize("ask", ASKS, ids=lambda ask: f"{ask.method} {ask.template} {ask.status} {ask.over or ''}")
def test_a_reply_is_as_github_describes_it(github: Github, ask: Ask) -> None:
    path = ask.template.format(**{**github.facts, **(ask.over or {})}) + ask.query
    reply = github.api(ask.method, path, ask.json)
    assert reply.status_code == ask.status, reply.text
    _hold(reply.json(), reply_validator(ask.method, ask.template, ask.status))


def _filled(sent: dict[str, object], facts: dict[str, object]) -> dict[str, object]:
    return {name: value.format(**facts) if isinstance(value, str) else value for name, value in sent.items()}


@pytest.mark.parametrize(
    ("who", "ask"),
    APP_ASKS,
    ids=lambda ask: f"{ask.method} {ask.template} {ask.status}" if isinstance(ask, Ask) else "",
)
def test_a_reply_to_an_app_is_as_github_describes_it(github: Github, who: str, ask: Ask) -> None:
    path = ask.template.format(**{**github.facts, **(ask.over or {})})
    reply = github.as_app[who](ask.method, path, _filled(ask.json or {}, github.facts))
    assert reply.status_code == ask.status, reply.text
    _hold(reply.json(), reply_validator(ask.method, ask.template, ask.status))


def test_every_webhook_is_as_github_describes_it(github: Github) -> None:
    for delivery in github.deliveries:
        _hold(delivery.payload, payload_validator(delivery.event, delivery.action))
    sent = {(delivery.event, delivery.action) for delivery in github.deliveries}
    assert sent == {
        ("ping", None),
        ("push", None),
        ("status", None),
        ("merge_group", "checks_requested"),
        ("check_run", "rerequested"),
        ("check_run", "requested_action"),
        ("check_suite", "rerequested"),
        *(("issue_comment", action) for action in ("created", "edited", "deleted")),
        *(("pull_request_review", action) for action in ("submitted", "dismissed")),
        *(
            ("pull_request", action)
            for action in (
                *("opened", "synchronize", "edited", "closed", "reopened", "ready_for_review"),
                *("converted_to_draft", "labeled", "unlabeled"),
            )
        ),
    }


def test_a_reply_that_lacks_a_field_is_told_apart(github: Github) -> None:
    reply = github.api("GET", "/repos/acme/infra/pulls/1").json()
    del reply["head"]["sha"]
    reply["created_at"] = "yesterday"
    errors = list(reply_validator("GET", PULL, 200).iter_errors(reply))
    assert {error.validator for error in errors} == {"required", "format"}


def _hold(data: object, validator: Draft202012Validator) -> None:
    errors = [
        f"{error.json_path}: {error.message[:300]}"
        for error in sorted(validator.iter_errors(data), key=lambda e: e.json_path)
    ]
    assert not errors, "\n".join(errors)
