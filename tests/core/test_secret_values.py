from __future__ import annotations

import json

import pytest

from prbot.core.secret_values import secret_values


def test_values_are_secret_unless_their_names_say_otherwise() -> None:
    assert secret_values({"CLOUD_KEY": "abcd", "AWS_REGION": "eu-north-1", "aws_profile": "dev"}) == {"abcd"}


def test_the_password_in_an_address_is_secret_by_itself() -> None:
    proxy = {"HTTPS_PROXY": "http://user:p%40ss-word@proxy.example:3128"}
    assert secret_values(proxy) == {"p%40ss-word", "p@ss-word"}
    assert "hunter22" in secret_values({"DATABASE_URL": "postgres://app:hunter22@db/app"})


@pytest.mark.parametrize("address", ["http://proxy.example:3128", "http://h/a:b@c", "http://user@h:80/x@y"])
def test_an_address_without_a_password_holds_no_secret(address: str) -> None:
    assert secret_values({"HTTPS_PROXY": address}) == set()


def test_what_json_calls_secret_is_so_by_itself() -> None:
    pem = "-----BEGIN KEY-----\nMIIE\n-----END KEY-----\n"
    value = json.dumps({"type": "service_account", "private_key": pem, "more": [{"authToken": "t0ken", "port": 1}]})
    assert secret_values({"GOOGLE_CREDENTIALS": value}) == {value, pem, "t0ken"}


@pytest.mark.parametrize("value", ["{not json", "[" * 100_000, '["key"]', '{"key": 1}'])
def test_what_is_no_json_or_holds_nothing_is_just_a_value(value: str) -> None:
    assert secret_values({"CLOUD_KEY": value}) == {value}
