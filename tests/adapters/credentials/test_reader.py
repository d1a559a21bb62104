"""Credentials as the rules name them: where values come from, in which order, and what a failure says."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from prbot.core.credentials import AwsRole, Credential, CredentialHalf, InitFiles, OidcToken
from prbot.core.ids import ProjectKey
from prbot.credentials import aws, reader
from prbot.credentials.env_file import EnvFile
from prbot.credentials.reader import CredentialReader
from prbot.ports import Conflict, Denied, NotFound, Purpose, Transient, Unavailable

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
        (["/bin/sh", "-c", "head -c 100000 /dev/zero"], Conflict, "printed more than 65536 bytes"),
        (["/bin/sh", "-c", "printf '\\377'"], Conflict, "not UTF-8"),
        (["/bin/sh", "-c", "echo LD_PRELOAD=planted-secret"], Conflict, "LD_PRELOAD is not allowed"),
    ],
)
def test_a_command_that_fails_is_named_and_shows_nothing(
    monkeypatch: pytest.MonkeyPatch, command: list[str], kind: type[Unavailable], said: str
) -> None:
    monkeypatch.setattr(reader, "COMMAND_SECONDS", 0.3)
    with pytest.raises(kind) as problem:
        CredentialReader().read(PLAN, [("cloud", half(commands=[command]))])
    assert str(problem.value).startswith("the credential `cloud` (plan) cannot be had: ")
    assert said in str(problem.value)
    assert "planted-secret" not in str(problem.value)


def test_a_command_gets_nothing_of_the_servers_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRBOT_GITHUB_TOKEN", "planted-secret")
    given = CredentialReader().read(PLAN, [("all", half(commands=[["/bin/sh", "-c", "env | grep -v '^_=\\|^PWD='"]]))])
    assert set(given.environment) <= {"PATH"}


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    for missing in (half(files=[tmp_path / "none"]), half(oidc=OidcToken(file=tmp_path / "none"))):
        with pytest.raises(NotFound, match=r"`cloud` \(plan\) cannot be had: .*none: there is no such"):
            CredentialReader().read(PLAN, [("cloud", missing)])


# -- AWS --------------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def sts() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


ROLE = "arn:aws:iam::123456789012:role/prbot-plan"


def role(tmp_path: Path, url: str, **more: object) -> AwsRole:
    keys = file(tmp_path / "aws.env", "AWS_ACCESS_KEY_ID=AKIAPLANTED\nAWS_SECRET_ACCESS_KEY=planted-secret\n")
    return AwsRole.model_validate({"role": ROLE, "region": "eu-north-1", "source": keys, "endpoint_url": url, **more})


def test_a_role_is_assumed_and_the_session_names_its_run(tmp_path: Path, sts: str) -> None:
    given = CredentialReader().read(PLAN, [("aws", half(aws=role(tmp_path, sts)))]).environment
    assert set(given) == {
        "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION",
    }  # fmt: skip
    assert given["AWS_REGION"] == "eu-north-1"
    assert "planted-secret" not in given.values()
    client = boto3.client(
        "sts", endpoint_url=sts, region_name="eu-north-1", aws_access_key_id=given["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=given["AWS_SECRET_ACCESS_KEY"], aws_session_token=given["AWS_SESSION_TOKEN"],
    )  # fmt: skip
    assert client.get_caller_identity()["Arn"].endswith("assumed-role/prbot-plan/prbot-acme-infra-7-01run")


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


def test_an_unreachable_sts_is_transient_and_an_incomplete_source_is_named(tmp_path: Path, sts: str) -> None:
    closed = role(tmp_path, "http://127.0.0.1:9")
    with pytest.raises(Transient, match=r"`aws` \(plan\) cannot be had: STS in eu-north-1 could not be asked"):
        CredentialReader().read(PLAN, [("aws", half(aws=closed))])
    bare = role(tmp_path, sts, source=file(tmp_path / "bare", "AWS_ACCESS_KEY_ID=x\n"))
    with pytest.raises(Conflict, match="lacks AWS_SECRET_ACCESS_KEY"):
        CredentialReader().read(PLAN, [("aws", half(aws=bare))])


def test_a_refusal_names_role_and_session_and_what_the_trust_policy_needs(tmp_path: Path, sts_that_denies: str) -> None:
    with pytest.raises(Denied) as problem:
        CredentialReader().read(PLAN, [("aws", half(aws=role(tmp_path, sts_that_denies)))])
    said = str(problem.value)
    assert ROLE in said
    assert "prbot-acme-infra-7-01run" in said
    assert "sts:TagSession" in said
    assert "planted-secret" not in said


@pytest.fixture
def sts_that_denies() -> Iterator[str]:
    """An STS that denies, in the words of the real one."""
    body = (
        b'<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>'
        b"<Code>AccessDenied</Code><Message>User: x is not authorized to perform: sts:AssumeRole</Message></Error>"
        b"<RequestId>1</RequestId></ErrorResponse>"
    )

    class Refuse(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(403)
            self.send_header("Content-Type", "text/xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Refuse)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join(10)
