from __future__ import annotations

import hashlib
import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
import rfc8785
from structlog.testing import capture_logs

from prbot.core.ids import PullKey, Repo
from prbot.core.pulls import Comment, Commit, Pull, Push, Undelivered
from prbot.github.auth import StaticToken
from prbot.github.client import GitHubForge
from prbot.github.connections import Connections
from prbot.github.remembered import RememberedLists
from prbot.github.transport import Transport
from prbot.ports import Conflict, Forge, NotFound, Transient
from tests.adapters.github.documents import (
    BASE,
    HEAD,
    MERGE,
    activity,
    comment,
    commit,
    pull,
    pull_simple,
    repository,
    review,
    user,
)
from tests.adapters.github.scripted import Answer, ScriptedGitHub

KEY = PullKey("acme/infra", 7)
PULL = "GET /repos/acme/infra/pulls/7"
PULLS = "GET /repos/acme/infra/pulls"
ACTIVITY = "GET /repos/acme/infra/activity"

OPEN = Pull(
    key=KEY, repo=Repo("acme/infra", "https://github.com/acme/infra.git"), title="Raise the limit", author="al",
    author_is_bot=False, state="open", draft=False, merged=False, merge_sha=None, merged_by=None, head_sha=HEAD,
    head_branch="limit", head_repo="acme/infra", base_branch="main", base_sha=BASE, default_branch="main",
    labels=("infra",), commits=2, mergeable=True, mergeable_state="blocked", url="https://github.com/acme/infra/pull/7",
    created_at=datetime(2026, 11, 20, 11, tzinfo=UTC), updated_at=datetime(2026, 11, 20, 12, tzinfo=UTC),
)  # fmt: skip


def test_it_is_a_forge(forge: GitHubForge) -> None:
    as_port: Forge = forge
    assert as_port is forge


def test_an_open_pull_request_is_read_in_one_request(github: ScriptedGitHub, forge: GitHubForge) -> None:
    github.on(PULL, Answer(body=pull()))
    assert forge.pull(KEY) == OPEN
    asked = github.asked[0]
    assert asked.headers["authorization"] == "Bearer ghp_0123456789secret"
    assert asked.headers["user-agent"] == "prbot"
    assert asked.headers["x-github-api-version"] == "2022-11-28"
    assert len(github.asked) == 1


def test_a_merged_pull_request_says_where_when_and_by_whom(github: ScriptedGitHub, forge: GitHubForge) -> None:
    merged = pull(
        state="closed",
        merged=True,
        merged_at="2026-11-20T13:00:00Z",
        merged_by=user("bo"),
        mergeable=None,
        mergeable_state="unknown",
    )
    github.on(PULL, Answer(body=merged))
    assert forge.pull(KEY) == replace(
        OPEN,
        state="closed",
        merged=True,
        merge_sha=MERGE,
        merged_by="bo",
        mergeable=None,
        mergeable_state="unknown",
        merged_at=datetime(2026, 11, 20, 13, tzinfo=UTC),
    )


def test_a_pull_request_from_a_deleted_fork_of_a_deleted_account_is_a_ghosts(
    github: ScriptedGitHub, forge: GitHubForge
) -> None:
    head = {"label": "unknown repository", "ref": "limit", "sha": HEAD, "user": None, "repo": None}
    github.on(PULL, Answer(body=pull(user=None, head=head)))
    read = forge.pull(KEY)
    assert (read.author, read.author_is_bot, read.head_repo) == ("ghost", False, None)


def test_open_pull_requests_are_listed_oldest_first_over_all_pages(github: ScriptedGitHub, forge: GitHubForge) -> None:
    # as on github.com, the next page is named by an absolute address, of a host that the token must not go to
    following = "https://elsewhere.example/api/v3/repositories/1/pulls?page=2&per_page=100"
    link = f'<{following}>; rel="next", <{following}>; rel="last"'
    github.on(PULLS, Answer(body=[pull_simple(7), pull_simple(8)], headers={"Link": link}))
    github.on("GET /repositories/1/pulls", Answer(body=[pull_simple(9)]))
    listed = forge.pulls_open("acme/infra", base="main")
    assert [one.key.number for one in listed] == [7, 8, 9]
    assert listed[0] == replace(OPEN, commits=0, mergeable=None, mergeable_state="unknown")
    assert github.asked[0].query == {
        "state": "open", "base": "main", "sort": "created", "direction": "asc", "per_page": "100",
    }  # fmt: skip
    assert github.asked[1].query == {"page": "2", "per_page": "100"}


def test_a_renamed_repositorys_list_keeps_to_the_base_that_was_asked_for(
    github: ScriptedGitHub, forge: GitHubForge
) -> None:
    github.on(PULLS, Answer(301, {"message": "Moved"}, {"Location": github.url + "/repositories/1/pulls"}))
    other = pull_simple(8, base={**pull_simple()["base"], "ref": "dev"})
    github.on("GET /repositories/1/pulls", Answer(body=[pull_simple(7), other]))
    assert [one.key.number for one in forge.pulls_open("acme/infra", base="main")] == [7]


def test_a_list_without_an_end_is_refused(github: ScriptedGitHub, forge: GitHubForge) -> None:
    link = {"Link": f'<{github.url}/repos/acme/infra/pulls?page=2>; rel="next"'}
    github.on(PULLS, *[Answer(body=[], headers=link)] * 100)
    with pytest.raises(Conflict, match="more than 10000"):
        forge.pulls_open("acme/infra")


def test_reviews_come_in_order_each_with_the_digest_of_what_github_sent(
    github: ScriptedGitHub, forge: GitHubForge
) -> None:
    raw = [
        review(1, "APPROVED"),
        review(2, "PENDING", submitted_at=None),
        review(3, "COMMENTED", user=None, commit_id=None),
        review(4, "CHANGES_REQUESTED", user=user("ci[bot]", "Bot")),
        review(5, "DISMISSED"),
    ]
    github.on(PULL + "/reviews", Answer(body=raw))
    reviews = forge.reviews(KEY)
    assert [(one.id, one.state) for one in reviews] == [
        (1, "APPROVED"), (3, "COMMENTED"), (4, "CHANGES_REQUESTED"), (5, "DISMISSED"),
    ]  # fmt: skip
    assert [(one.user, one.user_is_bot) for one in reviews[:3]] == [("bo", False), ("ghost", False), ("ci[bot]", True)]
    assert [one.commit_id for one in reviews[:2]] == [HEAD, ""]
    assert reviews[0].submitted_at == datetime(2026, 11, 20, 12, 0, 3, tzinfo=UTC)
    shuffled = json.loads(json.dumps(raw[0], sort_keys=True))
    assert reviews[0].raw_digest == "sha256:" + hashlib.sha256(rfc8785.dumps(shuffled)).hexdigest()
    assert len({one.raw_digest for one in reviews}) == 4


def test_of_more_commits_than_a_pull_requests_list_holds_all_are_told(
    github: ScriptedGitHub, forge: GitHubForge
) -> None:
    every = [{**commit(), "sha": f"{number:040x}"} for number in range(260)]
    github.on(PULL + "/commits", Answer(body=every[:250]))
    github.on(PULL, Answer(body=pull(commits=260)))
    compare = f"GET /repos/acme/infra/compare/{OPEN.base_sha}...{OPEN.head_sha}"
    following = f"{github.url}/repositories/1/compare/x?page=2&per_page=100"
    github.on(compare, Answer(body={"commits": every[:100]}, headers={"Link": f'<{following}>; rel="next"'}))
    github.on("GET /repositories/1/compare/x", Answer(body={"commits": every[100:]}))
    assert [each.sha for each in forge.commits(KEY)] == [each["sha"] for each in every]

    github.on(PULL + "/commits", Answer(body=every[:250]))
    github.on(PULL, Answer(body=pull(commits=260)))
    github.on(compare, Answer(body={"commits": every[:250]}))
    with pytest.raises(Transient, match="GitHub lists 250 of the 260 commits of acme/infra#7"):
        forge.commits(KEY)


def test_commits_tell_accounts_where_github_knows_them(github: ScriptedGitHub, forge: GitHubForge) -> None:
    merge = commit(MERGE, author=None, committer={}, parents=[{"sha": HEAD}, {"sha": BASE}])
    github.on(PULL + "/commits", Answer(body=[commit(), merge]))
    assert forge.commits(KEY) == [
        Commit(HEAD, "al", "web-flow", (BASE,)),
        Commit(MERGE, None, None, (HEAD, BASE)),
    ]


def test_a_name_cannot_lead_to_another_address(
    github: ScriptedGitHub, forge: GitHubForge, seen: list[tuple[str, str, int]]
) -> None:
    for name in ("..", ".", ""):
        assert forge.role("acme/infra", name) == "none"
        with pytest.raises(NotFound):
            forge.pulls_open(f"acme/{name}")
    assert not github.asked
    github.on("GET /repos/acme/infra/collaborators/a%2F..%2Fb%3Fx/permission", Answer(404, {"message": "Not Found"}))
    with pytest.raises(NotFound):
        forge.role("acme/infra", "a/../b?x")
    assert seen == [("GET", "/repos/{repo}/collaborators/{login}/permission", 404)]


def test_the_last_pusher_is_who_made_the_branch_point_to_the_head(github: ScriptedGitHub, forge: GitHubForge) -> None:
    entries = [
        activity(HEAD, user("other"), ref="refs/heads/elsewhere"),
        activity(HEAD, user("cy"), activity_type="force_push"),
        activity(MERGE, user("bo")),
        activity(HEAD, user("al")),
    ]
    github.on(ACTIVITY, Answer(body=entries))
    assert forge.last_pusher("acme/infra", "limit", HEAD) == "cy"
    assert github.asked[0].query == {"ref": "refs/heads/limit", "per_page": "100"}


def test_nobody_is_the_last_pusher_where_activity_does_not_say(github: ScriptedGitHub, forge: GitHubForge) -> None:
    github.on(ACTIVITY, Answer(body=[]), Answer(body=[activity(HEAD, None)]))
    assert forge.last_pusher("acme/infra", "limit", HEAD) is None
    assert forge.last_pusher("acme/infra", "limit", HEAD) is None


def test_without_permission_for_activity_prbot_does_without_and_says_so_once(
    github: ScriptedGitHub, forge: GitHubForge
) -> None:
    refusal = Answer(403, {"message": "Resource not accessible by personal access token"})
    absent = Answer(404, {"message": "Not Found"})
    github.on(ACTIVITY, refusal, refusal, absent, absent)
    with capture_logs() as logs:
        assert [forge.last_pusher("acme/infra", "limit", HEAD) for _ in range(4)] == [None] * 4
    assert [(line["event"], line["log_level"], line["what"]) for line in logs] == [
        ("github.degraded", "warning", "activity")
    ] * 2, "one line for each kind of refusal"
    assert "Resource not accessible" in logs[0]["refusal"]


def test_comments_since_a_moment_are_asked_for_in_utc(github: ScriptedGitHub, forge: GitHubForge) -> None:
    route = "GET /repos/acme/infra/issues/7/comments"
    github.on(route, Answer(body=[comment(1, "one"), comment(2, "two", user=None)]), Answer(body=[]))
    since = datetime(2026, 11, 20, 13, 0, 0, tzinfo=timezone(timedelta(hours=1)))
    at, later = datetime(2026, 11, 20, 12, tzinfo=UTC), datetime(2026, 11, 20, 12, 0, 1, tzinfo=UTC)
    assert forge.comments(KEY, since) == [
        Comment(1, "al", False, "one", at, later),
        Comment(2, "ghost", False, "two", at, later),
    ]
    assert forge.comments(KEY) == []
    assert [asked.query.get("since") for asked in github.asked] == ["2026-11-20T12:00:00Z", None]


def test_who_we_are_is_asked_once_a_token_and_always_when_checking(github: ScriptedGitHub, forge: GitHubForge) -> None:
    github.on("GET /user", Answer(body=user("prbot-bot")), Answer(body=user("renamed")))
    assert [forge.me(), forge.me()] == ["prbot-bot", "prbot-bot"]
    assert forge.check() == "renamed"
    assert forge.me() == "renamed"


def test_git_reads_with_our_token(forge: GitHubForge) -> None:
    assert forge.clone_token("acme/infra") == "ghp_0123456789secret"


def test_a_reply_that_is_not_as_documented_may_be_asked_for_again_later(
    github: ScriptedGitHub, forge: GitHubForge
) -> None:
    github.on(PULL, Answer(body=pull(repository("acme/infra")["id"], head={"ref": "limit"})))
    with pytest.raises(Transient, match=r"`head\.sha` is missing"):
        forge.pull(KEY)
    github.on(PULL + "/reviews", Answer(body={"message": "hello"}), Answer(body=[review(2**60, "APPROVED")]))
    for complaint in ("not a list", "RFC 8785"):
        with pytest.raises(Transient, match=complaint):
            forge.reviews(KEY)


# -- what moved -------------------------------------------------------------------------------------------------------
def test_what_moved_last_comes_first_and_a_page_is_asked_for_only_when_it_is_wanted(
    github: ScriptedGitHub, forge: GitHubForge
) -> None:
    link = {"Link": f'<{github.url}/repositories/1/pulls?page=2>; rel="next"'}
    github.on(PULLS, Answer(body=[pull_simple(9), pull_simple(7)], headers=link))
    pages = forge.pulls_moved("acme/infra")
    assert [one.key.number for one in next(pages)] == [9, 7]
    assert len(github.asked) == 1
    assert github.asked[0].query == {"state": "all", "sort": "updated", "direction": "desc", "per_page": "30"}
    github.on("GET /repositories/1/pulls", Answer(body=[pull_simple(8)]))
    assert [[one.key.number for one in page] for page in pages] == [[8]]


def test_a_list_that_github_says_is_as_it_was_is_known(github: ScriptedGitHub, forge: GitHubForge) -> None:
    link = {"Link": f'<{github.url}/repositories/1/pulls?page=2>; rel="next"'}
    github.on(PULLS, Answer(body=[pull_simple(9)], headers={"ETag": 'W/"one"', **link}), Answer(304))
    github.on("GET /repositories/1/pulls", Answer(body=[pull_simple(8)], headers={"ETag": 'W/"two"'}), Answer(304))
    first = list(forge.pulls_moved("acme/infra"))
    assert list(forge.pulls_moved("acme/infra")) == first
    assert [[one.key.number for one in page] for page in first] == [[9], [8]]
    said = [asked.headers.get("if-none-match") for asked in github.asked]
    assert said == [None, None, 'W/"one"', 'W/"two"']


def test_a_list_that_changed_takes_the_place_of_what_was_known(github: ScriptedGitHub, forge: GitHubForge) -> None:
    answers = [Answer(body=[pull_simple(number)], headers={"ETag": f'"{number}"'}) for number in (7, 8)]
    github.on(PULLS, *answers, Answer(304))
    listed = [next(forge.pulls_moved("acme/infra"))[0].key.number for _ in range(3)]
    assert listed == [7, 8, 8]
    assert github.asked[2].headers["if-none-match"] == '"8"'


def test_nothing_new_is_no_answer_to_who_knows_nothing(github: ScriptedGitHub, forge: GitHubForge) -> None:
    github.on(PULLS, Answer(304))
    with pytest.raises(Transient, match="not a list"):
        next(forge.pulls_moved("acme/infra"))


def test_only_so_many_pages_are_known(github: ScriptedGitHub) -> None:
    with_etag = Answer(body=[], headers={"ETag": '"one"'})
    for repo in ("one", "two", "three"):
        github.on(f"GET /repos/acme/{repo}/pulls", with_etag)
    connections = Connections(github.url, 5.0)
    transport = Transport(connections, StaticToken("ghp_0123456789secret"), None, time.sleep, time.monotonic)
    lists = RememberedLists(transport, lambda documents: documents, most=2)
    for repo in ("one", "two", "three"):
        assert list(lists.pages("/repos/{repo}/pulls", f"acme/{repo}", {})) == [[]]
    github.on("GET /repos/acme/three/pulls", Answer(304))
    github.on("GET /repos/acme/one/pulls", with_etag)
    for repo in ("three", "one"):
        assert list(lists.pages("/repos/{repo}/pulls", f"acme/{repo}", {})) == [[]]
    assert "if-none-match" not in github.asked[-1].headers
    connections.close()


def test_what_is_left_of_the_hour_is_what_github_said_last_until_the_hour_is_over(
    github: ScriptedGitHub, forge: GitHubForge
) -> None:
    def told(remaining: int, reset: float) -> Answer:
        limits = {"limit": "5000", "remaining": str(remaining), "reset": str(int(reset))}
        return Answer(body=user("prbot-bot"), headers={f"X-RateLimit-{name}": value for name, value in limits.items()})

    assert forge.left("acme/infra") == 1
    github.on("GET /user", told(1000, time.time() + 600), told(10, time.time() - 1))
    forge.check()
    assert forge.left("acme/infra") == 0.2
    forge.check()
    assert forge.left("acme/infra") == 1


def test_the_repositories_of_a_token_are_those_of_its_owner(github: ScriptedGitHub, forge: GitHubForge) -> None:
    github.on("GET /user/repos", Answer(body=[repository("acme/infra"), repository("acme/net")]))
    assert forge.repositories() == ["acme/infra", "acme/net"]


def test_a_branchs_pushes_are_told_oldest_first(github: ScriptedGitHub, forge: GitHubForge) -> None:
    entries = [
        activity(MERGE, None, before=HEAD),
        activity(HEAD, user("cy"), ref="refs/heads/elsewhere"),
        activity(HEAD, user("al")),
    ]
    github.on(ACTIVITY, Answer(body=entries))
    assert forge.pushes("acme/infra", "limit") == [Push(BASE, HEAD, "al"), Push(HEAD, MERGE, "")]


# -- deliveries -------------------------------------------------------------------------------------------------------
HOOKS = "GET /repos/acme/infra/hooks"


def hook(number: int, url: str) -> dict[str, object]:
    return {"id": number, "config": {"url": url}}


def tried(number: int, guid: str, status: str = "Invalid HTTP Response: 502", **more: object) -> dict[str, object]:
    return {
        "id": number, "guid": guid, "status": status, "event": "issue_comment",
        "delivered_at": "2026-11-20T12:00:00.123Z", **more,
    }  # fmt: skip


def test_undelivered_is_what_prbot_reads_and_no_attempt_brought_to_its_own_address(
    github: ScriptedGitHub, forge: GitHubForge
) -> None:
    others = [hook(2, "https://prbot.example.com/webhooks/github"), hook(3, "https://ci.example/webhooks/github")]
    github.on(HOOKS, Answer(body=[hook(1, "https://prbot.example/webhooks/github"), *others]))
    entries = [
        tried(15, "again", "OK", redelivery=True),
        tried(14, "lost"),
        tried(13, "push", event="push"),
        tried(12, "again"),
        tried(11, "lost"),
        tried(10, "fine", "OK"),
    ]
    github.on(HOOKS + "/1/deliveries", Answer(body=entries))
    at = datetime(2026, 11, 20, 12, 0, 0, 123000, tzinfo=UTC)
    found = forge.undelivered("acme/infra", "https://prbot.example")
    assert found == [Undelivered("acme/infra", 1, 11, "lost", at)]
    github.on("POST /repos/acme/infra/hooks/1/deliveries/11/attempts", Answer(202, {}))
    forge.redeliver(found[0])


def test_without_permission_for_webhooks_prbot_does_without_and_says_so_once(
    github: ScriptedGitHub, forge: GitHubForge
) -> None:
    github.on(HOOKS, *[Answer(404, {"message": "Not Found"})] * 2)
    with capture_logs() as logs:
        assert [forge.undelivered("acme/infra", "https://prbot.example") for _ in range(2)] == [[], []]
    assert [(line["event"], line["what"]) for line in logs] == [("github.degraded", "hooks")]
