"""Environment files: what they set, and what they may not."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prbot.credentials.env_file import EnvFile, parse_line
from prbot.ports import Conflict, NotFound


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "apply.env"
    path.touch(mode=0o600)
    return path


def test_a_file_gives_its_variables(path: Path) -> None:
    path.write_text(
        "\ufeff# credentials\n\nAWS_ACCESS_KEY_ID=AKIA\r\n"
        "export TF_VAR_name=a b  # a comment\nURL=https://h/#x\nEMPTY=\nNOTE=#none\n"
        'JSON=\'{"a": "$HOME"}\' # literal\n'
        r'PEM="one\ntwo\t\"q\" \\ $X"'
    )
    assert EnvFile(path).read() == {
        "AWS_ACCESS_KEY_ID": "AKIA",
        "TF_VAR_name": "a b",
        "URL": "https://h/#x",
        "EMPTY": "",
        "NOTE": "",
        "JSON": '{"a": "$HOME"}',
        "PEM": 'one\ntwo\t"q" \\ $X',
    }


@pytest.mark.parametrize(
    ("line", "mistake"),
    [
        ("KEY = s3cr3t", "expected NAME=value"),
        ("s3cr3t", "expected NAME=value"),
        ("1KEY=s3cr3t", "expected NAME=value"),
        ('KEY="s3cr3t', "the quotes around the value of KEY don't close"),
        ("KEY='s3cr3t' more", "the quotes around the value of KEY don't close"),
        (r'KEY="s3cr3t\x"', "the value of KEY holds an escape"),
        ("KEY=s3cr3t\0", "the value of KEY holds a NUL"),
        ("KEY=s3cr3t\nKEY=s3cr3t", "KEY is set twice"),
        ("TF_DATA_DIR=s3cr3t", "TF_DATA_DIR is not allowed here: prbot sets it for each run"),
        ("TF_WORKSPACE=s3cr3t", "TF_WORKSPACE is not allowed"),
        ("TF_CLI_ARGS=s3cr3t", "it would add arguments that nobody reviewed"),
        ("TF_CLI_ARGS_plan=s3cr3t", "it would add arguments that nobody reviewed"),
        ("LD_PRELOAD=s3cr3t", "foreign code"),
        ("PRBOT_GITHUB_TOKEN=s3cr3t", "prbot's own settings"),
    ],
)
def test_a_mistake_is_told_with_file_and_line_and_without_the_value(path: Path, line: str, mistake: str) -> None:
    path.write_text(f"# first\nPATH=/bin\n{line}\n")
    with pytest.raises(Conflict) as error:
        EnvFile(path).read()
    number = 3 + line.count("\n")
    assert str(error.value).startswith(f"{path}:{number}: ")
    assert mistake in str(error.value)
    assert "s3cr3t" not in str(error.value)
    assert error.value.__cause__ is None


def test_a_rotated_credential_counts_at_the_next_reading(path: Path) -> None:
    file = EnvFile(path)
    path.write_text("KEY=old")
    assert file.read() == {"KEY": "old"}
    path.write_text("KEY=new")
    assert file.read() == {"KEY": "new"}


def test_a_missing_file_and_one_that_is_no_text_are_named(path: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"none\.env: there is no such environment file"):
        EnvFile(tmp_path / "none.env").read()
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(Conflict, match="must be UTF-8 text"):
        EnvFile(path).read()
    with pytest.raises(Conflict, match="can't be read: Is a directory"):
        EnvFile(tmp_path).read()


def test_a_file_that_others_can_read_is_warned_about(path: Path) -> None:
    assert EnvFile(path).warnings() == []
    path.chmod(0o640)
    assert EnvFile(path).warnings() == [
        f"{path} is open to others (mode 0640): it holds credentials; run chmod 600 on it"
    ]


@given(st.text(st.sampled_from('aé"\\$#= \t;`')))
def test_a_single_quoted_value_is_taken_literally(value: str) -> None:
    assert parse_line(f"KEY='{value}'") == ("KEY", value)
