from __future__ import annotations

import hashlib
import hmac

from hypothesis import example, given
from hypothesis import strategies as st

from prbot.github.signature import verify


def sign(secret: str, body: bytes) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def test_githubs_own_example_is_accepted() -> None:
    # https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries
    header = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    assert verify(["It's a Secret to Everybody"], b"Hello, World!", header)


def test_while_secrets_rotate_either_signs() -> None:
    for secret in ("old secret", "new secret"):
        assert verify(["old secret", "new secret"], b"{}", sign(secret, b"{}"))
    assert not verify(["old secret", "new secret"], b"{}", sign("third", b"{}"))


def test_one_changed_byte_is_refused() -> None:
    header = sign("secret", b'{"a":1}')
    assert verify(["secret"], b'{"a":1}', header)
    assert not verify(["secret"], b'{"a":2}', header)
    assert not verify(["secret"], b'{"a":1}', header[:-1] + ("0" if header[-1] != "0" else "1"))


def test_a_missing_header_or_another_algorithm_is_refused() -> None:
    assert not verify(["secret"], b"", None)
    assert not verify(["secret"], b"", "")
    assert not verify(["secret"], b"", "sha1=" + hmac.new(b"secret", b"", hashlib.sha1).hexdigest())
    assert not verify(["secret"], b"", sign("secret", b"").removeprefix("sha256="))


def test_nothing_is_signed_by_no_secret_or_an_empty_one() -> None:
    assert not verify([], b"x", sign("", b"x"))
    assert not verify([""], b"x", sign("", b"x"))


@given(st.binary(), st.text(alphabet=st.characters(exclude_categories=())))
@example(b"", "sha256=\ud800")
def test_a_garbage_header_is_refused_without_an_error(body: bytes, header: str) -> None:
    assert not verify(["secret"], body, header)
