from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath as Path

import pytest

from prbot.core.health import Finding, forge, machine, ok, reach
from prbot.core.health.forge import Hook, RepositorySetup
from prbot.core.health.machine import GIB
from prbot.core.health.reach import Answer

HOOK_URLS = ("https://prbot.example/webhooks/github", "https://prbot.example/events")
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOOK = Hook(HOOK_URLS[0], active=True, events=forge.NEEDED_EVENTS, verifies_tls=True, last_status=202)


def setup(**over: object) -> RepositorySetup:
    """A repository with nothing to complain of."""
    facts: dict[str, object] = {
        "name": "acme/infra", "default_branch": "main", "may_push": True, "archived": False, "missing": (),
        "hooks": (HOOK,), "required": frozenset({"prbot/gate"}), "merge_queue": False,
    }  # fmt: skip
    return RepositorySetup(**{**facts, **over})  # type: ignore[arg-type]


def worst(findings: list[Finding]) -> Finding:
    return max(findings, key=lambda each: ("ok", "skipped", "warning", "failed").index(each.verdict))


def test_only_what_is_ok_comes_without_advice() -> None:
    with pytest.raises(ValueError, match="without advice"):
        Finding("disk", "failed", "full")
    with pytest.raises(ValueError, match="with advice"):
        Finding("disk", "ok", "fine", "Do something.")


@pytest.mark.parametrize(
    ("free", "verdict"),
    [(0, "failed"), (GIB - 1, "failed"), (GIB, "warning"), (5 * GIB - 1, "warning"), (5 * GIB, "ok")],
)
def test_little_disk_is_warned_of_and_none_fails(free: int, verdict: str) -> None:
    assert machine.disk(Path("/srv"), free).verdict == verdict


@pytest.mark.parametrize(("mode", "verdict"), [(0o700, "ok"), (0o750, "warning"), (0o770, "failed"), (0o702, "failed")])
def test_a_data_directory_is_for_its_owner_alone(mode: int, verdict: str) -> None:
    found = machine.privacy("data directory", Path("/srv/data"), mode)
    assert found.verdict == verdict
    assert ("chmod 700 /srv/data" in found.advice) == (verdict != "ok")


@pytest.mark.parametrize(
    ("mode", "checkout", "verdict"),
    [
        (0o600, None, "ok"), (0o400, None, "ok"), (0o640, None, "warning"), (0o644, None, "failed"),
        (0o660, None, "failed"), (0o600, Path("/home/al/infra"), "failed"),
    ],
)  # fmt: skip
def test_a_secret_is_kept_from_others_and_out_of_git(mode: int, checkout: Path | None, verdict: str) -> None:
    assert machine.secret_file("secret key", Path("/k"), mode, checkout).verdict == verdict


@pytest.mark.parametrize(
    ("off", "own_network", "verdict"), [(False, True, "ok"), (False, False, "warning"), (True, True, "warning")]
)
def test_plans_that_are_not_kept_apart_are_warned_of(off: bool, own_network: bool, verdict: str) -> None:
    assert machine.isolation("bubblewrap 0.8.0", off=off, own_network=own_network).verdict == verdict


def test_the_file_system_is_that_of_the_deepest_mount() -> None:
    mounts = "/dev/a / ext4 rw 0 0\nsrv:/x /srv nfs4 rw 0 0\n/dev/b /srv/my\\040disk xfs rw 0 0\nbroken\n"
    assert machine.file_system(Path("/srv/data/prbot.db"), mounts) == "nfs4"
    assert machine.file_system(Path("/srv/my disk/prbot.db"), mounts) == "xfs"
    assert machine.file_system(Path("/srvx/prbot.db"), mounts) == "ext4"
    assert machine.file_system(Path("/srv"), "") == ""


def test_a_database_on_a_network_file_system_is_warned_of() -> None:
    assert machine.database_place(Path("/srv/prbot.db"), "ext4") is None
    found = machine.database_place(Path("/srv/prbot.db"), "nfs4")
    assert found is not None
    assert (found.verdict, "local disk" in found.advice) == ("warning", True)


@pytest.mark.parametrize(
    ("damage", "revision", "verdict", "advice"),
    [
        ("", "0002", "ok", ""),
        ("", "0001", "warning", "prbot migrate"),
        ("", None, "warning", "prbot migrate"),
        ("", "0009", "failed", "Run the version that made it"),
        ("row 1 missing from index", "0002", "failed", "restore"),
    ],
)
def test_a_database_is_whole_and_of_this_version(damage: str, revision: str | None, verdict: str, advice: str) -> None:
    found = machine.database(Path("/prbot.db"), damage, revision, "0002", frozenset({"0001", "0002"}))
    assert found.verdict == verdict
    assert advice in found.advice


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ("git version 2.38.0", "ok"), ("git version 2.39.5 (Apple Git-154)", "ok"), ("git version 3.0", "ok"),
        ("git version 2.37.9", "failed"), ("git version 1.8.3.1", "failed"), ("not git", "failed"), ("", "failed"),
    ],
)  # fmt: skip
def test_git_must_know_how_to_merge_without_a_checkout(said: str, verdict: str) -> None:
    assert machine.git(said).verdict == verdict


def test_plans_with_the_credentials_of_applies_are_warned_of() -> None:
    assert machine.environments(None, None) is None
    assert machine.environments(Path("/plan.env"), Path("/apply.env")) is None
    found = machine.environments(Path("/one.env"), Path("/one.env"))
    assert found is not None
    assert found.verdict == "warning"


@pytest.mark.parametrize(
    ("apart", "verdict"), [(0, "ok"), (5, "ok"), (6, "warning"), (-60, "warning"), (61, "failed"), (-3600, "failed")]
)
def test_a_clock_may_be_a_few_seconds_off(apart: int, verdict: str) -> None:
    assert forge.clock(NOW + timedelta(seconds=apart), NOW).verdict == verdict


@pytest.mark.parametrize(
    ("scopes", "verdict"),
    [
        (None, "ok"), (frozenset({"repo"}), "ok"), (frozenset({"public_repo", "read:org"}), "ok"),
        (frozenset({"repo", "delete_repo"}), "warning"), (frozenset({"gist"}), "failed"), (frozenset(), "failed"),
    ],
)  # fmt: skip
def test_a_classic_token_has_the_scopes_that_are_needed_and_no_more(
    scopes: frozenset[str] | None, verdict: str
) -> None:
    assert forge.token("prbot-bot", scopes).verdict == verdict


def test_a_glob_that_nothing_fits_fails() -> None:
    assert forge.globs(["acme/*"], 2) == ok("allow-list", "acme/*: 2 repositories fit")
    assert forge.globs(["acmee/*"], 0).verdict == "failed"


@pytest.mark.parametrize(
    ("over", "verdict", "said"),
    [
        ({}, "ok", ""),
        ({"archived": True}, "failed", "archived"),
        ({"missing": ("pull requests: read",)}, "failed", "pull requests: read"),
        ({"may_push": False}, "failed", "no write access"),
        ({"hooks": None}, "skipped", "may not read the repository's webhooks"),
        ({"hooks": ()}, "warning", "no webhook of this repository"),
        ({"merge_queue": True}, "failed", "not told of merge_group"),
        ({"required": None}, "skipped", "may not read the rules of main"),
        ({"required": frozenset()}, "warning", "does not require prbot/gate"),
        ({"required": frozenset({"prbot/gate", "prbot/apply"})}, "failed", "only after the merge"),
        ({"required": frozenset({"prbot/gate", "prbot/plan: net"})}, "failed", "where that project is affected"),
        ({"required": frozenset({"prbot/gate", "prbot/plan", "ci"})}, "ok", ""),
    ],
)
def test_a_repository_is_judged_by_what_would_stop_a_pull_request(
    over: dict[str, object], verdict: str, said: str
) -> None:
    found = worst(forge.repository(setup(**over), HOOK_URLS))
    assert found.verdict == verdict
    assert said in found.said


@pytest.mark.parametrize(
    ("hook", "verdict", "said"),
    [
        (HOOK, "ok", ""),
        (Hook(HOOK_URLS[1] + "/", True, frozenset({"*"}), True, 0), "ok", ""),
        (Hook("https://elsewhere.example/hook", True, forge.NEEDED_EVENTS, True, 200), "warning", "no webhook"),
        (Hook(HOOK_URLS[0], False, forge.NEEDED_EVENTS, True, 202), "failed", "switched off"),
        (Hook(HOOK_URLS[0], True, frozenset({"push"}), True, 202), "failed", "issue_comment, pull_request"),
        (Hook(HOOK_URLS[0], True, forge.NEEDED_EVENTS, True, 502), "warning", "answered 502"),
        (Hook(HOOK_URLS[0], True, forge.NEEDED_EVENTS, False, 202), "warning", "certificate"),
    ],
)
def test_a_webhook_must_bring_what_prbot_lives_on(hook: Hook, verdict: str, said: str) -> None:
    found = worst(forge.repository(setup(hooks=(hook,)), HOOK_URLS))
    assert found.verdict == verdict
    assert said in found.said


def test_without_a_public_url_no_webhook_can_be_told_to_be_ours() -> None:
    assert worst(forge.repository(setup(), ())).verdict == "skipped"


@pytest.mark.parametrize(
    ("local", "public", "verdict", "said"),
    [
        (Answer(200, True), Answer(200, True), "ok", "leads to prbot"),
        (Answer(0), Answer(200, True), "ok", "leads to prbot"),
        (Answer(0), Answer(502), "skipped", "prbot is not running on 127.0.0.1:4242"),
        (Answer(0), Answer(0, problem="Connection refused"), "skipped", "Connection refused"),
        (Answer(200, True), Answer(0, problem="no answer within 10 s"), "failed", "no answer within 10 s"),
        (Answer(200, True), Answer(502), "failed", "answers 502"),
        (Answer(200, True), Answer(200), "failed", "something else than prbot"),
        (
            Answer(200, True),
            Answer(301, location="https://new.example/"),
            "failed",
            "redirects to https://new.example/",
        ),
    ],
)
def test_the_public_url_must_lead_here(local: Answer, public: Answer, verdict: str, said: str) -> None:
    found = reach.public_url("https://prbot.example", local, "127.0.0.1:4242", public)
    assert found.verdict == verdict
    assert said in found.said


@pytest.mark.parametrize(
    ("status", "verdict", "advice"),
    [
        (202, "ok", ""), (401, "failed", "another secret"), (403, "failed", "POST /webhooks/github"),
        (0, "failed", "logs"),
    ],
)  # fmt: skip
def test_a_signed_ping_must_be_taken(status: int, verdict: str, advice: str) -> None:
    found = reach.ping("https://prbot.example/webhooks/github", Answer(status))
    assert found.verdict == verdict
    assert advice in found.advice
