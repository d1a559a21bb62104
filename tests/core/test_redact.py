from __future__ import annotations

import base64
import json
from collections.abc import Callable
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


@pytest.mark.parametrize(
    ("secret", "form"),
    [
        ("a&b<c>d", "a\\u0026b\\u003cc\\u003ed"),  # Terraform's jsonencode
        ("it's(new)!", "it's(new)!"),  # encodeURIComponent
        ("k=v&x/y", "k%3Dv%26x%2Fy"),
        ("k=v&x/y", "k=v&x%2Fy"),  # Go's user information
        ("to:k@n/#", "to:k@n%2F%23"),  # Go's paths
        ("hé%Z", "68c3a9255a"),
        ("hé%Z", "68C3A9255A"),
    ],
)
def test_a_secret_is_found_in_the_forms_of_other_languages(secret: str, form: str) -> None:
    assert Redactor([secret]).redact(f"<{form}>") == "<***>"


def test_base64_of_a_short_secret_is_masked_but_for_its_last_bits() -> None:
    assert Redactor(["a1b2"]).redact("<YTFiMg==>") == "<***g==>"


def test_a_commit_that_shares_eight_digits_with_a_secrets_hex_is_shown() -> None:
    commit = "deadbeef" + "long-lived-secret"[:4].encode().hex() + "0" * 24
    assert Redactor(["long-lived-secret"]).redact(commit) == commit


@pytest.mark.parametrize("width", [60, 64, 76])
@pytest.mark.parametrize("before", ["", "u:"])
def test_base64_and_hex_that_are_broken_into_lines_are_masked_line_by_line(width: int, before: str) -> None:
    token = "".join(f"{number:x}/Zk9+" for number in range(90))
    data = (before + token).encode()
    redactor = Redactor([token])
    for encoded in (base64.b64encode(data).decode(), base64.urlsafe_b64encode(data).decode(), data.hex()):
        lines = [encoded[start : start + width] for start in range(0, len(encoded), width)]
        left = "".join(redactor.redact(line).replace("***", "") for line in lines)
        assert len(left) < 16


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


ENCODINGS: list[Callable[[str], str]] = [
    lambda text: json.dumps(text)[1:-1],
    lambda text: json.dumps(text, ensure_ascii=False)[1:-1].replace("&", "\\u0026").replace("<", "\\u003c"),
    lambda text: quote(text, safe=""),
    quote_plus,
    lambda text: text.encode().hex(),
]
ANY_SECRET = st.text(
    st.characters(codec="utf-8", exclude_characters="\r\x85\u2028\u2029"), min_size=4, max_size=40
).filter(lambda text: len(text.strip()) >= 4 and text not in ("true", "false", "null"))


@settings(max_examples=200)
@given(ANY_SECRET, st.sampled_from(ENCODINGS), st.text(max_size=9), st.text(max_size=9))
def test_no_secret_is_left_in_any_encoding(secret: str, encode: Callable[[str], str], before: str, after: str) -> None:
    form = encode(secret)
    assert form not in Redactor([secret]).redact(f"{before}{form}{after}").replace("***", "\0")


@settings(max_examples=200)
@given(ANY_SECRET, st.text(max_size=9), st.text(max_size=9), st.booleans())
def test_no_byte_of_a_secret_is_left_in_base64_of_something_longer(
    secret: str, before: str, after: str, url_safe: bool
) -> None:
    data = f"{before}{secret}{after}".encode()
    encoded = (base64.urlsafe_b64encode if url_safe else base64.b64encode)(data).decode()
    start, end = len(before.encode()) * 8, len((before + secret).encode()) * 8
    masked = Redactor([secret]).redact(encoded)
    assert encoded[-(-start // 6) : end // 6] not in masked
    assert len(masked.replace("***", "")) <= len(encoded) - (end // 6 - -(-start // 6))
