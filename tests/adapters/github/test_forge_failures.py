from __future__ import annotations

import logging
import socket
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from prbot.core.ids import PullKey
from prbot.github.auth import StaticToken, TokenFile
from prbot.github.client import GitHubForge
from prbot.github.connections import Connections
from prbot.ports import Conflict, Denied, NotFound, Transient, Unavailable
from tests.adapters.github.conftest import TOKEN, Timeline
from tests.adapters.github.documents import comment, pull, user
from tests.adapters.github.scripted import Answer, ScriptedGitHub

KEY = PullKey("acme/infra", 7)
PULL = "GET /repos/acme/infra/pulls/7"
COMMENTS = "POST /repos/acme/infra/issues/7/comments"
DATE = {"Date": "Fri, 20 Nov 2026 12:00:00 GMT"}
NOON = 1795176000
EXHAUSTED = {"X-RateLimit-Limit": "5000", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(NOON + 90), **DATE}
SECONDARY = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."


def failing(forge: GitHubForge) -> Unavailable:
    with pytest.raises(Unavailable) as failure:
        forge.pull(KEY)
    return failure.value


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (401, "Bad credentials", Denied),
        (403, "Resource not accessible by personal access token", Denied),
        (451, "Repository access blocked", Denied),
        (404, "Not Found", NotFound),
        (410, "This was deleted", NotFound),
        (307, "Moved Permanently", NotFound),
        (400, "Problems parsing JSON", Conflict),
        (409, "Conflict", Conflict),
        (422, "Validation Failed", Conflict),
    ],
)
def test_each_refusal_has_its_kind_and_githubs_words(
    github: ScriptedGitHub, forge: GitHubForge, status: int, message: str, kind: type[Unavailable]
) -> None:
    github.on(PULL, Answer(status, {"message": message, "documentation_url": "https://docs.github.com/rest"}))
    failure = failing(forge)
    assert type(failure) is kind
    assert str(failure) == f"GitHub answered {status} to GET /repos/acme/infra/pulls/7: {message}"


@pytest.mark.parametrize(
    ("answer", "wait"),
    [
        (Answer(403, {"message": "API rate limit exceeded for user ID 1."}, EXHAUSTED), 90),
        (Answer(429, {"message": "API rate limit exceeded"}, EXHAUSTED), 90),
        (Answer(403, {"message": SECONDARY}, {"Retry-After": "42"}), 42),
        (Answer(429, {"message": SECONDARY}, {"Retry-After": "0"}), 1),
        (Answer(403, {"message": SECONDARY}), 60),
        (Answer(429, None), 60),
        (Answer(403, {"message": "API rate limit exceeded"}, {"X-RateLimit-Remaining": "0"}), 60),
        (Answer(403, {"message": "API rate limit exceeded"}, EXHAUSTED | {"Date": "today"}), 60),
        (Answer(422, {"message": "Validation Failed", "errors": ["was submitted too quickly"]}), 60),
    ],
)
def test_a_rate_limit_says_when_to_come_back_and_nothing_is_sent_before(
    github: ScriptedGitHub, forge: GitHubForge, timeline: Timeline, answer: Answer, wait: int
) -> None:
    github.on(PULL, answer, Answer(body=pull()))
    limited = failing(forge)
    assert isinstance(limited, Transient)
    assert limited.retry_after == wait
    timeline.now += wait - 1
    held = failing(forge)
    assert isinstance(held, Transient)
    assert held.retry_after == 1
    assert len(github.asked) == 1
    timeline.now += 1
    assert forge.pull(KEY).key == KEY


def test_a_question_is_asked_again_twice_when_github_is_broken(
    github: ScriptedGitHub, forge: GitHubForge, timeline: Timeline, seen: list[tuple[str, str, int]]
) -> None:
    github.on(PULL, Answer(502, "<html>"), Answer(how="drop"), Answer(body=pull()))
    assert forge.pull(KEY).key == KEY
    assert timeline.slept == [0.5, 2.0]
    assert seen == [("GET", "/repos/{repo}/pulls/{number}", status) for status in (0, 0, 200)]


def test_a_question_is_asked_no_more_than_three_times(
    github: ScriptedGitHub, forge: GitHubForge, seen: list[tuple[str, str, int]]
) -> None:
    github.on(PULL, *[Answer(500, {"message": "Server Error"})] * 3)
    failure = failing(forge)
    assert isinstance(failure, Transient)
    assert failure.retry_after is None
    assert str(failure) == "GitHub answered 500 to GET /repos/acme/infra/pulls/7: Server Error"
    assert [status for _, _, status in seen] == [500, 500, 500]


def test_a_server_that_says_when_to_come_back_is_not_asked_before(
    github: ScriptedGitHub, forge: GitHubForge, timeline: Timeline
) -> None:
    github.on(PULL, Answer(503, {"message": "Maintenance"}, {"Retry-After": "120"}))
    failure = failing(forge)
    assert isinstance(failure, Transient)
    assert failure.retry_after == 120
    assert timeline.slept == []


def test_a_server_that_does_not_answer_in_time_is_transient(
    github: ScriptedGitHub, make_forge: Callable[[float], GitHubForge]
) -> None:
    github.on(COMMENTS, Answer(how="hang"))
    with pytest.raises(Transient, match=r"did not answer POST .* within 0\.1 s"):
        make_forge(0.1).create_comment(KEY, "x")


def test_a_server_that_is_not_there_is_transient(timeline: Timeline) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    forge = GitHubForge(Connections(f"http://127.0.0.1:{port}"), StaticToken(TOKEN), sleep=timeline.sleep)
    with pytest.raises(Transient, match="no connection with GitHub"):
        forge.check()
    assert len(timeline.slept) == 2
    forge.close()


def test_a_page_of_html_is_transient(github: ScriptedGitHub, forge: GitHubForge) -> None:
    github.on(PULL, *[Answer(200, "<html>Please log in</html>")] * 3)
    assert str(failing(forge)) == "GitHub's reply to GET /repos/acme/infra/pulls/7 cannot be understood"


def test_a_redirect_to_another_server_is_not_followed(github: ScriptedGitHub, forge: GitHubForge) -> None:
    github.on(PULL, Answer(301, None, {"Location": "https://elsewhere.example/"}))
    failure = failing(forge)
    assert isinstance(failure, Conflict)
    assert "is the API's URL right?" in str(failure)


def test_the_token_is_in_no_message_and_no_log(
    github: ScriptedGitHub, forge: GitHubForge, caplog: pytest.LogCaptureFixture
) -> None:
    github.on(PULL, Answer(403, {"message": f"no access for {TOKEN}"}), Answer(body=pull()))
    with caplog.at_level(logging.DEBUG):
        assert str(failing(forge)).endswith("no access for ***")
        forge.pull(KEY)
    assert TOKEN not in caplog.text
    assert "Raise the limit" not in caplog.text, "replies may hold new tokens, so none is logged"


@pytest.mark.parametrize(
    "url",
    ["http://github.example/api/v3", "ftp://127.0.0.1", "github.example", "https://", "https://u:p@github.example"],
)
def test_an_api_url_that_would_expose_the_token_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="API URL must be"):
        Connections(url)


def test_the_hourly_allowance_is_known_from_the_latest_reply(github: ScriptedGitHub, forge: GitHubForge) -> None:
    assert forge.budget() is None
    told = {"X-RateLimit-Limit": "5000", "X-RateLimit-Remaining": "4321", "X-RateLimit-Reset": str(NOON)}
    github.on(PULL, Answer(body=pull(), headers=told), Answer(body=pull()))
    github.on("POST /graphql", Answer(body={"data": {}}, headers=told | {"X-RateLimit-Resource": "graphql"}))
    forge.pull(KEY)
    forge.hide_comment("acme/infra", "IC_1")
    forge.pull(KEY)
    budget = forge.budget()
    assert budget is not None
    assert (budget.limit, budget.remaining, budget.reset_at.isoformat()) == (5000, 4321, "2026-11-20T12:00:00+00:00")


def test_writes_beyond_what_github_allows_are_not_sent(
    github: ScriptedGitHub, forge: GitHubForge, timeline: Timeline
) -> None:
    github.on(COMMENTS, *[Answer(201, comment(1, "x"))] * 81)
    for _ in range(80):
        forge.create_comment(KEY, "x")
    timeline.now += 59
    with pytest.raises(Transient) as over:
        forge.create_comment(KEY, "x")
    assert over.value.retry_after == 1
    assert len(github.asked) == 80
    timeline.now += 1
    forge.create_comment(KEY, "x")


def test_running_out_of_graphql_stops_nothing_else(github: ScriptedGitHub, forge: GitHubForge) -> None:
    github.on("POST /graphql", Answer(403, None, EXHAUSTED | {"X-RateLimit-Resource": "graphql"}))
    github.on(PULL, Answer(body=pull()))
    assert not forge.hide_comment("acme/infra", "IC_1")
    assert forge.pull(KEY).key == KEY


def test_connections_are_kept_open(github: ScriptedGitHub, forge: GitHubForge) -> None:
    github.on(PULL, *[Answer(body=pull())] * 3)
    for _ in range(3):
        forge.pull(KEY)
    assert len({asked.connection for asked in github.asked}) == 1


def test_many_threads_get_each_their_own_answer(github: ScriptedGitHub, forge: GitHubForge) -> None:
    numbers = range(1, 121)
    for number in numbers:
        github.on(f"GET /repos/acme/infra/pulls/{number}", Answer(body=pull(number)))
    together = threading.Barrier(8)

    def read(number: int) -> int:
        together.wait(10)
        return forge.pull(PullKey("acme/infra", number)).key.number

    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # threads interrupt each other wherever they can
    try:
        with ThreadPoolExecutor(8) as threads:
            assert list(threads.map(read, numbers)) == list(numbers)
    finally:
        sys.setswitchinterval(usual)


def test_a_new_token_in_the_file_is_used_at_once(github: ScriptedGitHub, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("first\n")
    forge = GitHubForge(Connections(github.url), TokenFile(path))
    github.on("GET /user", Answer(body=user("prbot")), Answer(body=user("prbot-2")))
    assert forge.me() == "prbot"
    path.write_text("second-token\n")
    assert forge.me() == "prbot-2"
    assert [asked.headers["authorization"] for asked in github.asked] == ["Bearer first", "Bearer second-token"]
    forge.close()
