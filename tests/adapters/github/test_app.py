"""prbot as a GitHub App, on the stand-in: signatures, installations, and tokens that end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from prbot.core.ids import PullKey
from prbot.github.app import AppKey, AppTokens
from prbot.github.app_forge import GitHubAppForge
from prbot.github.connections import Connections
from prbot.ports import Denied, NotFound, Transient
from prbot.sandbox.app import SandboxApp
from prbot.sandbox.apps import new_key
from prbot.sandbox.world import World

MINT = "create_installation_token"


class Now:
    """A clock that tests move, and the stand-in's with it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.ahead = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def wait(self, minutes: int) -> None:
        self.ahead += timedelta(minutes=minutes)
        self.world.tick(60 * minutes)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path / "github", bot="prbot[bot]") as world:
        world.repo("acme/infra", {"a.tf": "#\n"}).open_pull(by="al", files={"b.tf": "#\n"})
        yield world


@pytest.fixture
def app(world: World) -> SandboxApp:
    return world.app("acme", "other")


@pytest.fixture
def now(world: World) -> Now:
    return Now(world)


@pytest.fixture
def key_file(app: SandboxApp, tmp_path: Path) -> Path:
    path = tmp_path / "app.pem"
    path.write_text(app.private_key)
    return path


@pytest.fixture
def tokens(world: World, app: SandboxApp, key_file: Path, now: Now) -> Iterator[AppTokens]:
    connections = Connections(world.api_url)
    yield AppTokens(connections, AppKey(str(app.id), key_file), now)
    connections.close()


@pytest.fixture
def forge(world: World, tokens: AppTokens) -> Iterator[GitHubAppForge]:
    forge = GitHubAppForge(Connections(world.api_url), tokens)
    yield forge
    forge.close()


def asked(world: World, route: str) -> int:
    return sum(request.route == route for request in world.requests)


def test_an_app_speaks_by_its_bots_name(forge: GitHubAppForge, world: World) -> None:
    assert forge.me() == "prbot[bot]"
    assert forge.me() == "prbot[bot]"
    assert asked(world, "get_app") == 1


def test_a_repositorys_token_is_asked_for_once_and_is_for_that_one_alone(
    forge: GitHubAppForge, world: World, app: SandboxApp
) -> None:
    world.repo("acme/apps", {"a.tf": "#\n"})
    for _ in range(3):
        assert forge.pull(PullKey("acme/infra", 1)).author == "al"
    (token,) = app.tokens()
    assert world.hub.state.apps.minted[token].names == frozenset({"infra"})
    assert (asked(world, MINT), asked(world, "repo_installation")) == (1, 1)


def test_git_gets_a_token_that_may_read_content_and_nothing_else(tokens: AppTokens, world: World) -> None:
    token = tokens.clone_token("acme/infra")
    assert token == tokens.clone_token("acme/infra") != tokens.token("acme/infra")
    assert dict(world.hub.state.apps.minted[token].permissions) == {"metadata": "read", "contents": "read"}


def test_a_token_is_renewed_before_it_ends(tokens: AppTokens, world: World, now: Now) -> None:
    first = tokens.token("acme/infra")
    now.wait(54)
    assert tokens.token("acme/infra") == first
    now.wait(2)
    assert tokens.token("acme/infra") != first


def test_while_github_does_not_answer_a_token_is_used_to_its_end(tokens: AppTokens, world: World, now: Now) -> None:
    first = tokens.token("acme/infra")
    now.wait(56)
    world.fail_next(MINT, 502)
    assert tokens.token("acme/infra") == first
    now.wait(5)
    world.fail_next(MINT, 502)
    with pytest.raises(Transient):
        tokens.token("acme/infra")


def test_a_token_that_github_takes_no_longer_is_renewed_once_and_the_request_repeated(
    forge: GitHubAppForge, world: World, app: SandboxApp
) -> None:
    key = PullKey("acme/infra", 1)
    forge.pull(key)
    app.expire_tokens()
    forge.create_comment(key, "said once")
    assert [one.body for one in world.hub.state.repos["acme/infra"].conversation(1)] == ["said once"]
    assert asked(world, MINT) == 2
    world.fail_next("get_pull", 401, times=2)
    with pytest.raises(Denied):
        forge.pull(key)
    assert forge.pull(key).key == key


def test_git_gets_another_token_for_one_that_was_refused(tokens: AppTokens) -> None:
    first = tokens.clone_token("acme/infra")
    second = tokens.clone_token("acme/infra", refused=first)
    assert second != first
    assert tokens.clone_token("acme/infra", refused=first) == second, "somebody else had renewed it meanwhile"


def test_one_thread_renews_and_the_others_wait(tokens: AppTokens, world: World) -> None:
    world.slow_next(MINT, 0.2)
    together = threading.Barrier(8)

    def ask(_: int) -> str:
        together.wait(10)
        return tokens.token("acme/infra")

    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(ask, range(8)))) == 1
    assert asked(world, MINT) == 1


def test_several_installations_each_give_their_own(tokens: AppTokens, world: World) -> None:
    world.repo("other/site", {"a.tf": "#\n"})
    assert tokens.token("other/site") != tokens.token("acme/infra")
    assert tokens.payer("other/site") != tokens.payer("acme/infra")
    assert sorted(tokens.installed()) == ["acme/infra", "other/site"]


def test_where_the_app_is_not_installed_it_says_what_to_do(tokens: AppTokens, world: World) -> None:
    world.repo("strange/site", {"a.tf": "#\n"})
    with pytest.raises(NotFound, match=r"not installed on strange/site: whoever administrates strange adds"):
        tokens.token("strange/site")


def test_an_app_that_was_taken_off_and_installed_again_goes_on(
    forge: GitHubAppForge, world: World, app: SandboxApp
) -> None:
    key = PullKey("acme/infra", 1)
    forge.pull(key)
    app.uninstall("acme")
    with pytest.raises(NotFound, match="not installed on acme/infra"):
        forge.pull(key)
    app.install("acme")
    assert forge.pull(key).key == key


def test_another_apps_key_is_told_apart(world: World, app: SandboxApp, tmp_path: Path, now: Now) -> None:
    path = tmp_path / "other.pem"
    path.write_text(new_key())
    connections = Connections(world.api_url)
    tokens = AppTokens(connections, AppKey(str(app.id), path), now)
    with pytest.raises(Denied, match="of the same App, and is this host's clock right"):
        tokens.token("acme/infra")
    connections.close()


def test_a_new_key_in_the_file_is_used_at_once(tokens: AppTokens, app: SandboxApp, key_file: Path) -> None:
    tokens.token("acme/infra")
    key_file.write_text("half of a k")
    with pytest.raises(Transient, match=r"app\.pem holds no RSA private key"):
        tokens.clone_token("acme/infra")
    app.data.private_key = new_key()
    key_file.write_text(app.private_key)
    assert tokens.clone_token("acme/infra")


@pytest.mark.parametrize("content", ["", "ghp_token", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_what_is_no_private_key_is_refused_with_where_to_get_one(content: str, tmp_path: Path) -> None:
    path = tmp_path / "app.pem"
    path.write_text(content)
    with pytest.raises(ValueError, match="GitHub makes one on the App's page, under Private keys"):
        AppKey("7", path)


def test_every_token_and_key_is_known_for_masking_until_it_is_worthless(
    tokens: AppTokens, app: SandboxApp, now: Now
) -> None:
    old = tokens.token("acme/infra")
    now.wait(57)
    new, clone = tokens.token("acme/infra"), tokens.clone_token("acme/infra")
    assert {old, new, clone, app.private_key} <= set(tokens.held())
    now.wait(4)
    assert old not in set(tokens.held())
    assert new in set(tokens.held())


def test_what_the_app_was_not_granted_it_does_not_try(world: World, tmp_path: Path, now: Now) -> None:
    poor = world.app("acme", lacking=("checks",))
    path = tmp_path / "poor.pem"
    path.write_text(poor.private_key)
    connections = Connections(world.api_url)
    forge = GitHubAppForge(connections, AppTokens(connections, AppKey(str(poor.id), path), now))
    assert not forge.shows_checks("acme/infra")
    connections.close()
