from __future__ import annotations

import os
from pathlib import Path

import pytest

from prbot.github.auth import StaticToken, TokenFile
from prbot.ports import Transient


def test_white_space_around_a_token_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("  from-file \n")
    assert TokenFile(path).token("acme/infra") == "from-file"
    assert StaticToken("said\n").token("") == "said"


@pytest.mark.parametrize("token", ["", "  ", "two words", "line\nbreak", "gehéim", "nul\0"])
def test_what_no_header_can_hold_is_refused_and_not_repeated(token: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="one word") as refused:
        StaticToken(token)
    assert not token.strip() or token not in str(refused.value)
    path = tmp_path / "token"
    path.write_text(token)
    with pytest.raises(Transient, match="is of no use: a token is one word"):
        TokenFile(path).token("")


def test_a_token_file_is_read_again_when_it_was_replaced(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("first")
    source = TokenFile(path)
    assert source.token("") == "first"
    fresh = tmp_path / "fresh"
    fresh.write_text("other")
    seen = path.stat()
    os.utime(fresh, ns=(seen.st_atime_ns, seen.st_mtime_ns))  # within one tick of a coarse clock
    fresh.replace(path)
    assert source.token("") == "other"


def test_while_its_file_is_missing_a_token_cannot_be_had(tmp_path: Path) -> None:
    path = tmp_path / "token"
    source = TokenFile(path)
    with pytest.raises(Transient, match="cannot be read: No such file"):
        source.token("")
    path.write_text("there")
    assert source.token("") == "there"
    path.unlink()
    with pytest.raises(Transient):
        source.token("")
