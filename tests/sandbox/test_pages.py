"""The pages on which a person plays."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser

import pytest
import requests

from prbot.sandbox.markdown import render
from prbot.sandbox.pullrequest import SandboxPull
from prbot.sandbox.repository import SandboxRepo
from prbot.sandbox.world import World
from tests.sandbox.conftest import Api

HERE = "/acme/infra/pull/1"


class Browser:
    """Opens pages and submits forms."""

    def __init__(self, world: World, session: requests.Session) -> None:
        self._world = world
        self._session = session

    def open(self, path: str) -> str:
        reply = self._session.get(self._world.url + path, timeout=10)
        assert reply.status_code == 200
        assert "script-src 'self'" in reply.headers["Content-Security-Policy"]
        return reply.text

    def submit(self, to: str, **fields: str) -> requests.Response:
        named = {"as" if name == "who" else name: value for name, value in fields.items()}
        return self._session.post(self._world.url + to, data=named, timeout=10)


@pytest.fixture
def browser(world: World) -> Iterator[Browser]:
    with requests.Session() as session:
        yield Browser(world, session)


@pytest.fixture
def pull(infra: SandboxRepo) -> SandboxPull:
    return infra.open_pull(by="al", files={"net/main.tf": "# two\n"}, title="Two <b>nets</b>")


def test_a_pull_request_shows_its_talk_its_statuses_and_its_diff(
    world: World, pull: SandboxPull, browser: Browser, api: Api
) -> None:
    pull.comment(by="bo", body="prbot plan")
    folded = "<details><summary>net</summary>\n\n```diff\n+ added\n```\n\n</details>"
    body = f"<!-- marker -->\n{folded}\n\n| a |\n|---|\n| 1 |"
    api("POST", "/repos/acme/infra/issues/1/comments", {"body": body})
    status = {"state": "success", "context": "prbot/plan", "description": "1 to add"}
    api("POST", f"/repos/acme/infra/statuses/{pull.head_sha}", status)
    page = browser.open(HERE)
    for shown in (
        "Two &lt;b&gt;nets",
        "prbot plan",
        "<summary>net</summary>",
        '<span class="added">+ added',
        "1 to add",
    ):
        assert shown in page
    assert '<span class="removed">-# one' in page
    assert "<td>1</td>" in page
    assert "marker" not in page
    assert world.unread_comments()


def test_lists_lead_to_the_pull_request(pull: SandboxPull, browser: Browser) -> None:
    assert f'href="{HERE}"' in browser.open("/")
    assert f'href="{HERE}"' in browser.open("/acme/infra")


def test_a_person_comments_reviews_and_merges(infra: SandboxRepo, pull: SandboxPull, browser: Browser) -> None:
    browser.submit(f"{HERE}/comment", who="bo", body="prbot plan")
    browser.submit(f"{HERE}/review", who="bo", state="APPROVED")
    assert browser.submit(f"{HERE}/merge", who="mo", method="squash").status_code == 200
    assert [(one.user, one.body) for one in pull.comments()] == [("bo", "prbot plan")]
    assert [(one.user, one.state) for one in pull.data.reviews] == [("bo", "APPROVED")]
    assert (pull.state, infra.read("net/main.tf")) == ("merged", "# two\n")
    assert "merged" in browser.open(HERE)


def test_a_refusal_is_shown_on_the_page(pull: SandboxPull, browser: Browser) -> None:
    reply = browser.submit(f"{HERE}/review", who="al", state="APPROVED")
    assert reply.status_code == 422
    assert 'role="alert"' in reply.text
    assert pull.data.reviews == []


def test_nobody_does_what_they_may_not(pull: SandboxPull, browser: Browser) -> None:
    assert browser.submit(f"{HERE}/merge", who="ro", method="merge").status_code == 403
    assert browser.submit(f"{HERE}/comment", who="stranger", body="hi").status_code == 403
    assert browser.submit(f"{HERE}/nonsense", who="al").status_code == 404
    assert pull.state == "open"


def test_a_person_changes_files(infra: SandboxRepo, pull: SandboxPull, browser: Browser) -> None:
    before = pull.head_sha
    browser.submit(f"{HERE}/commit", who="bo", path="net/main.tf", content="# three\r\n")
    assert pull.head_sha != before
    assert infra.read("net/main.tf", pull.head_sha) == "# three\n"
    browser.submit("/acme/infra/propose", who="al", path="new.tf", content="# new\n", title="New")
    assert infra.pull(2).data.title == "New"
    assert browser.submit("/acme/infra/propose", who="al", path="README.md", content="read me\n").status_code == 200


def test_the_version_changes_when_the_page_would(pull: SandboxPull, browser: Browser) -> None:
    first = browser.open(f"{HERE}/version")
    assert browser.open(f"{HERE}/version") == first
    pull.comment(by="bo", body="hello")
    assert browser.open(f"{HERE}/version") != first
    assert f'data-version="{browser.open(f"{HERE}/version")}"' in browser.open(HERE)


def test_every_field_has_a_label(pull: SandboxPull, browser: Browser) -> None:
    unlabelled: list[str] = []

    class Fields(HTMLParser):
        inside = 0

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.inside += tag == "label"
            if tag in ("input", "select", "textarea") and not self.inside:
                unlabelled.append(str(attrs))

        def handle_endtag(self, tag: str) -> None:
            self.inside -= tag == "label"

    for path in (HERE, "/acme/infra"):
        Fields().feed(browser.open(path))
    assert unlabelled == []


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("<script>alert(1)</script>", "&lt;script&gt;alert(1)"),
        ('<b onclick="x">bold</b>', "<p><b>bold</b></p>\n"),
        ("[x](javascript:alert(1))", "<p>[x](javascript:alert(1))</p>\n"),
        ('<a href="javascript:alert(1)">x</a>', "<p><a>x</a></p>\n"),
        ("</div></main>after", "after"),
        ("<details open><summary>s</summary>", '<details open=""><summary>s</summary></details>'),
    ],
)
def test_comments_keep_to_their_box(text: str, html: str) -> None:
    assert render(text).strip() == html.strip()
