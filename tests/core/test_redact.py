from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prbot.core.redact import Redactor

TOKEN = "ghp_s3cr3t/+value=="
KEY = "-----BEGIN KEY-----\nMIIEpAIBAAKCAQEA\n  0Z3VS5JJcds3xfn/\nshort\n-----END KEY-----\n"


def test_a_secret_is_replaced_wherever_it_stands() -> None:
    assert Redactor([TOKEN]).redact(f"{TOKEN} a={TOKEN};{TOKEN}") == "*** a=***;***"


def test_text_without_secrets_stays_as_it_is() -> None:
    assert Redactor([TOKEN]).redact("nothing to see") == "nothing to see"
    assert Redactor().redact(TOKEN) == TOKEN


def test_the_longest_secret_is_masked_whole() -> None:
    assert Redactor(["secret", "secret-and-more"]).redact("secret-and-more, secret") == "***, ***"


def test_no_end_of_overlapping_secrets_is_left() -> None:
    assert Redactor(["abcdef", "defghi"]).redact("<abcdefghi>") == "<***>"
    assert Redactor(["aaaa"]).redact("<aaaaaa>") == "<***>"


@pytest.mark.parametrize(
    "form",
    [
        json.dumps('pä"ss\n${word}')[1:-1],
        json.dumps('pä"ss\n${word}', ensure_ascii=False)[1:-1],
        'pä\\"ss\\n$${word}',
        quote('pä"ss\n${word}', safe=""),
        quote('pä"ss\n${word}', safe="").lower(),
        quote_plus('pä"ss\n${word}'),
        base64.b64encode('pä"ss\n${word}'.encode()).decode().rstrip("="),
    ],
)
def test_a_secret_is_found_in_the_forms_that_programs_print(form: str) -> None:
    assert form not in Redactor(['pä"ss\n${word}']).redact(f"x {form} y")


@pytest.mark.parametrize("user", ["", "a", "ab", "abc", "x-access-token:"])
def test_a_secret_is_found_within_base64_of_something_longer(user: str) -> None:
    header = base64.b64encode(f"{user}{TOKEN}".encode()).decode()
    masked = Redactor([TOKEN]).redact(f"AUTHORIZATION: basic {header}")
    assert "***" in masked
    left = masked.removeprefix("AUTHORIZATION: basic ")
    assert len(left.replace("***", "")) <= len(header) - len(TOKEN) * 8 // 6 + 2


def test_each_line_of_a_secret_with_several_is_masked_by_itself() -> None:
    redactor = Redactor([KEY])
    assert redactor.redact(KEY) == "***"
    assert [redactor.redact(line) for line in KEY.splitlines()] == ["***", "***", "  ***", "short", "***"]


def test_a_secret_is_found_without_the_space_around_it() -> None:
    assert Redactor(["token-value\n"]).redact("is token-value.") == "is ***."


@pytest.mark.parametrize("word", ["", "abc", "    ", "true", "false", "null"])
def test_what_would_be_found_everywhere_is_not_masked(word: str) -> None:
    assert Redactor([word]).redact("true false null abc    x") == "true false null abc    x"


def test_more_secrets_make_another_redactor() -> None:
    first = Redactor(["first-one"])
    both = first.with_secrets(["second-one"])
    assert both.redact("first-one second-one") == "*** ***"
    assert first.redact("first-one second-one") == "*** second-one"
    assert first.with_secrets(["first-one"]) is first


def test_a_redactor_does_not_show_what_it_hides() -> None:
    assert repr(Redactor([TOKEN])) == "<Redactor of 1>"


SECRET = st.text('abcd\n"$/', min_size=4, max_size=12).filter(lambda text: len(text.strip()) >= 4)
SECRETS = st.lists(SECRET, max_size=4)


@settings(max_examples=100)
@given(SECRETS, st.lists(st.text('abcd \n"$/', max_size=6), max_size=6), st.data())
def test_no_secret_is_left_in_any_text(secrets: list[str], between: list[str], data: st.DataObject) -> None:
    pieces = [piece + data.draw(st.sampled_from(["", *secrets])) for piece in between]
    masked = Redactor(secrets).redact("".join(pieces))
    assert not any(secret in masked for secret in secrets)


@settings(max_examples=100)
@given(SECRETS, st.text("abcd xyz\n", max_size=60))
def test_masking_twice_is_masking_once(secrets: list[str], text: str) -> None:
    redactor = Redactor(secrets)
    assert redactor.redact(redactor.redact(text)) == redactor.redact(text)
