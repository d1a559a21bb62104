"""Credentials as the rules name them: where values come from, in which order, and what a failure says."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import boto3
import pytest

from prbot.core.credentials import AwsRole, Credential, CredentialHalf, InitFiles, OidcToken
from prbot.core.ids import ProjectKey
from prbot.credentials import aws, programs
from prbot.credentials.env_file import EnvFile
from prbot.credentials.reader import CredentialReader
from prbot.ports import Conflict, Denied, NotFound, Purpose, Transient, Unavailable
from tests.sts import Sts, sts_server

PLAN = Purpose("plan", ProjectKey("acme/infra", "net", "default"), 7, "01run", "01entry")
APPLY = replace(PLAN, phase="apply")


def file(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o600)
    return path


def half(**sources: object) -> Credential:
    return Credential(plan=CredentialHalf.model_validate(sources))


def test_later_sources_win_and_the_phases_own_file_comes_first(tmp_path: Path) -> None:
    own = EnvFile(file(tmp_path / "own", "A=own\nB=own\nC=own\nD=own\n"))
    first = half(files=[file(tmp_path / "first", "B=first\nC=first\nD=first\n")], commands=[["/bin/echo", "C=printed"]])
    second = half(files=[file(tmp_path / "second", "D=second\n")])
    given = CredentialReader(plan=own).read(PLAN, [("first", first), ("second", second)])
    assert given.environment == {"A": "own", "B": "first", "C": "printed", "D": "second"}


def test_a_plan_never_touches_an_apply_half(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    os.mkfifo(trap)  # opening it would wait for ever
    marker = tmp_path / "ran"
    both = Credential(
        plan=CredentialHalf(files=(file(tmp_path / "plan", "A=plan\n"),)),
        apply=CredentialHalf(files=(trap,), commands=(("/usr/bin/touch", str(marker)),)),
    )
    own = CredentialReader(plan=None, apply=EnvFile(trap))
    assert own.read(PLAN, [("both", both)]).environment == {"A": "plan"}
    assert not marker.exists()


def test_what_init_alone_gets_is_apart(tmp_path: Path) -> None:
    init = InitFiles(
        files=(file(tmp_path / "env", "TF_TOKEN_app_example=registry\n"),),
        netrc=file(tmp_path / "netrc", "machine x password y\n"),
        cli_config=file(tmp_path / "rc", "# nothing\n"),
    )
    given = CredentialReader().read(PLAN, [("modules", Credential(init=init))])
    assert given.environment == {}
    assert given.init_environment == {"TF_TOKEN_app_example": "registry"}
    assert given.init_files == {".netrc": b"machine x password y\n", ".terraformrc": b"# nothing\n"}


def test_a_token_that_somebody_else_renews_is_read_anew_each_time(tmp_path: Path) -> None:
    token = file(tmp_path / "token", "one")
    named = [("oidc", half(oidc=OidcToken(file=token, variable="TOKEN_FILE")))]
    read = CredentialReader()
    assert read.read(PLAN, named).files == {"TOKEN_FILE": b"one"}
    token.write_text("two")
    assert read.read(PLAN, named).files == {"TOKEN_FILE": b"two"}


def test_only_what_is_beyond_the_phases_own_file_goes_on_record(tmp_path: Path) -> None:
    read = CredentialReader(plan=EnvFile(tmp_path / "own"))
    assert not read.named(PLAN, [])
    assert not read.named(APPLY, [("plans", half(files=[tmp_path / "x"]))])
    assert read.named(PLAN, [("plans", half(files=[tmp_path / "x"]))])
    assert read.named(APPLY, [("modules", Credential(init=InitFiles(netrc=tmp_path / "x")))])


@pytest.mark.parametrize(
    ("command", "kind", "said"),
    [
        (
            ["/bin/sh", "-c", "echo A=planted-secret; echo planted-secret >&2; exit 3"],
            Conflict,
            "ended with exit code 3",
        ),
        (["/bin/sh", "-c", "sleep 60"], Transient, "took longer than"),
        (["/no/such/program"], Conflict, "could not be started: No such file"),
        (["/bin/sh", "-c", "echo planted-secret"], Conflict, ":1: expected NAME=value"),
        (["/usr/bin/yes", "planted-secret"], Conflict, "printed more than 65536 bytes"),
        (["/bin/sh", "-c", "printf '\\377'"], Conflict, "not UTF-8"),
        (["/bin/sh", "-c", "echo LD_PRELOAD=planted-secret"], Conflict, "LD_PRELOAD is not allowed"),
    ],
)
def test_a_command_that_fails_is_named_and_shows_nothing(
    monkeypatch: pytest.MonkeyPatch, command: list[str], kind: type[Unavailable], said: str
) -> None:
    monkeypatch.setattr(programs, "SECONDS", 0.5)
    with pytest.raises(kind) as problem:
        CredentialReader().read(PLAN, [("cloud", half(commands=[command]))])
    assert str(problem.value).startswith("the credential `cloud` (plan) cannot be had: ")
    assert said in str(problem.value)
    assert "planted-secret" not in str(problem.value)


def test_a_command_gets_nothing_of_the_servers_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRBOT_GITHUB_TOKEN", "planted-secret")
    given = CredentialReader().read(PLAN, [("all", half(commands=[["/bin/sh", "-c", "env | grep -v '^_=\\|^PWD='"]]))])
    assert set(given.environment) <= {"PATH"}


def test_a_program_that_takes_too_long_is_killed_with_its_children(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(programs, "SECONDS", 0.5)
    os.mkfifo(tmp_path / "held")
    reading = os.open(tmp_path / "held", os.O_RDONLY | os.O_NONBLOCK)
    command = ["/bin/sh", "-c", f"sleep 60 3>{tmp_path}/held & wait"]
    with pytest.raises(Transient, match="took longer than"):
        CredentialReader().read(PLAN, [("slow", half(commands=[command]))])
    hung_up = select.poll()
    hung_up.register(reading, 0)
    assert hung_up.poll(10_000) == [(reading, select.POLLHUP)]  # nobody has it open for writing any more
    os.close(reading)


def test_keys_replace_all_that_was_said_of_who_to_be_at_aws(tmp_path: Path) -> None:
    own = EnvFile(
        file(tmp_path / "own", "AWS_PROFILE=dev\nAWS_ACCESS_KEY_ID=a\nAWS_SESSION_TOKEN=of-a\nAWS_REGION=eu-north-1\n")
    )
    keys = half(files=[file(tmp_path / "keys", "AWS_ACCESS_KEY_ID=b\nAWS_SECRET_ACCESS_KEY=c\n")])
    given = CredentialReader(plan=own).read(PLAN, [("keys", keys)])
    assert given.environment == {
        "AWS_ACCESS_KEY_ID": "b", "AWS_SECRET_ACCESS_KEY": "c", "AWS_REGION": "eu-north-1",
    }  # fmt: skip


def test_an_empty_token_and_a_variable_that_is_not_allowed_are_told(tmp_path: Path) -> None:
    empty = OidcToken(file=file(tmp_path / "token", "\n"))
    with pytest.raises(Conflict, match="token is empty"):
        CredentialReader().read(PLAN, [("oidc", half(oidc=empty))])
    preload = OidcToken(file=file(tmp_path / "token", "x"), variable="LD_PRELOAD")
    with pytest.raises(Conflict, match="LD_PRELOAD is not allowed here"):
        CredentialReader().read(PLAN, [("oidc", half(oidc=preload))])


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    for missing in (half(files=[tmp_path / "none"]), half(oidc=OidcToken(file=tmp_path / "none"))):
        with pytest.raises(NotFound, match=r"`cloud` \(plan\) cannot be had: .*none: there is no such"):
            CredentialReader().read(PLAN, [("cloud", missing)])


# -- AWS --------------------------------------------------------------------------------------------------------------
@pytest.fixture
def sts() -> Iterator[Sts]:
    with sts_server() as server:
        yield server


ROLE = "arn:aws:iam::123456789012:role/prbot-plan"


def role(tmp_path: Path, url: str, **more: object) -> AwsRole:
    keys = file(tmp_path / "aws.env", "AWS_ACCESS_KEY_ID=AKIAPLANTED\nAWS_SECRET_ACCESS_KEY=planted-secret\n")
    return AwsRole.model_validate({"role": ROLE, "region": "eu-north-1", "source": keys, "endpoint_url": url, **more})


def test_a_role_is_assumed_and_the_session_names_its_run(tmp_path: Path, sts: Sts) -> None:
    given = CredentialReader().read(PLAN, [("aws", half(aws=role(tmp_path, sts.url)))]).environment
    assert set(given) == {
        "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION",
    }  # fmt: skip
    assert given["AWS_REGION"] == "eu-north-1"
    assert "planted-secret" not in given.values()
    client = boto3.client(
        "sts", endpoint_url=sts.url, region_name="eu-north-1", aws_access_key_id=given["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=given["AWS_SECRET_ACCESS_KEY"], aws_session_token=given["AWS_SESSION_TOKEN"],
    )  # fmt: skip
    assert client.get_caller_identity()["Arn"].endswith("assumed-role/prbot-plan/prbot-acme-infra-7-01run")


def test_the_session_carries_the_run_in_its_tags_and_hands_them_on(tmp_path: Path, sts: Sts) -> None:
    CredentialReader().read(
        APPLY, [("aws", Credential(apply=CredentialHalf(aws=role(tmp_path, sts.url, seconds=900))))]
    )
    (asked,) = sts.asked()
    assert asked["RoleArn"] == ROLE
    assert asked["DurationSeconds"] == "900"
    assert asked["RoleSessionName"] == "prbot-acme-infra-7-01run"
    said = {
        "Repository": "acme/infra", "Project": "net:default", "PullRequest": "7", "Run": "01run", "Phase": "apply",
        "AuditEntry": "01entry",
    }  # fmt: skip
    names = {asked[f"Tags.member.{number}.Key"]: asked[f"Tags.member.{number}.Value"] for number in range(1, 7)}
    assert names == said
    assert {asked[f"TransitiveTagKeys.member.{number}"] for number in range(1, 7)} == set(said)


def test_a_plan_never_assumes_the_role_of_an_apply_half(tmp_path: Path, sts: Sts) -> None:
    plan, apply = ROLE, ROLE.replace("plan", "apply")
    both = Credential(
        plan=CredentialHalf(aws=role(tmp_path, sts.url)), apply=CredentialHalf(aws=role(tmp_path, sts.url, role=apply))
    )
    CredentialReader().read(PLAN, [("aws", both)])
    assert [each["RoleArn"] for each in sts.asked()] == [plan]
    CredentialReader().read(APPLY, [("aws", both)])
    assert [each["RoleArn"] for each in sts.asked()] == [plan, apply]


def test_without_a_source_the_servers_own_identity_assumes_the_role(
    tmp_path: Path, sts: Sts, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    own = half(aws=role(tmp_path, sts.url, source=None))
    with pytest.raises(Conflict, match="no AWS identity of its own here; name a file with keys as the role's `source`"):
        CredentialReader().read(PLAN, [("aws", own)])
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIASERVER")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-the-server")
    assert "AKIASERVER" not in CredentialReader().read(PLAN, [("aws", own)]).environment.values()


def test_names_and_tags_are_what_sts_takes() -> None:
    odd = Purpose("apply", ProjectKey("acme/" + "x" * 90, "a b/ü&*", "w"), 123456, "01m7yjzzzzzzzzzzzzzzzzzzzz", "e")
    name = aws.session_name(odd)
    assert len(name) == 64
    assert name.endswith("-01m7yjzzzzzzzzzzzzzzzzzzzz")
    said = aws.tags(odd)
    assert said["Project"] == "a b/___:w"
    assert said["Phase"] == "apply"
    assert said["AuditEntry"] == "e"
    assert all(len(value) <= 256 for value in said.values())


def test_an_unreachable_sts_is_transient_and_an_incomplete_source_is_named(tmp_path: Path, sts: Sts) -> None:
    closed = role(tmp_path, "http://127.0.0.1:9")
    with pytest.raises(Transient, match=r"`aws` \(plan\) cannot be had: STS in eu-north-1 could not be asked"):
        CredentialReader().read(PLAN, [("aws", half(aws=closed))])
    bare = role(tmp_path, sts.url, source=file(tmp_path / "bare", "AWS_ACCESS_KEY_ID=x\n"))
    with pytest.raises(Conflict, match="lacks AWS_SECRET_ACCESS_KEY"):
        CredentialReader().read(PLAN, [("aws", half(aws=bare))])


@pytest.mark.parametrize(
    ("status", "code", "kind", "said"),
    [
        (403, "AccessDenied", Denied, "its trust policy must allow sts:AssumeRole and sts:TagSession"),
        (403, "InvalidClientTokenId", Denied, "are wrong or have expired"),
        (400, "ValidationError", Conflict, "shorter than `seconds` says"),
        (403, "RegionDisabledException", Conflict, "activate STS for the region"),
        (400, "Throttling", Transient, "(Throttling)"),
        (500, "InternalFailure", Transient, "(InternalFailure)"),
        (400, "MalformedPolicyDocument", Conflict, "(MalformedPolicyDocument)"),
    ],
)
def test_a_refusal_names_role_and_session_and_what_to_do(
    tmp_path: Path, status: int, code: str, kind: type[Unavailable], said: str
) -> None:
    with refusing(status, code) as url, pytest.raises(kind) as problem:
        CredentialReader().read(PLAN, [("aws", half(aws=role(tmp_path, url)))])
    message = str(problem.value)
    assert f"STS refused {ROLE} to the session prbot-acme-infra-7-01run ({code})" in message
    assert said in message
    assert "planted-secret" not in message


@contextmanager
def refusing(status: int, code: str) -> Iterator[str]:
    """An STS that refuses, in the form of the real one, and tells its reason with a secret in it."""
    body = (
        '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>'
        f"<Code>{code}</Code><Message>not to planted-secret</Message></Error><RequestId>1</RequestId></ErrorResponse>"
    ).encode()

    class Refuse(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Type", "text/xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Refuse)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
