"""What an entry may hold, and its exact bytes."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prbot.audit.entries import MAX_ENTRY_BYTES, MAX_FACTS_BYTES, PRBOT, About, Entry, EntryRefused, operator, user
from prbot.audit.vocabulary import ACTIONS
from prbot.core.ids import ProjectKey

TIME = datetime(2026, 11, 20, 12, 0, 3, 250_999, tzinfo=UTC)
SHA = "4e3bbb1f7b478dcfe71fb631631519a3bca12c9a"


def entry(action: str = "apply.authorized", **about: Any) -> Entry:
    return Entry.new("01h", TIME, action, user("bo"), cast("About", about))


def test_the_bytes_of_an_entry_are_these() -> None:
    full = entry(
        pull=7,
        project=ProjectKey("acme/infra", "net", "staging"),
        run="01hrun",
        head=SHA,
        base=SHA.replace("4", "5"),
        merge=SHA.replace("4", "6"),
        resources=["aws_vpc.main", 'aws_subnet.a["eu-1"]'],
        facts={"rules": "sha256:11", "reviews": [1, 2], "ok": True, "none": None, "ü": {"b": 1, "a": "\n"}},
        facts_digest="sha256:" + "a" * 64,
    )
    assert full.body().decode() == (
        '{"action":"apply.authorized","actor":{"kind":"user","name":"bo"},'
        '"commits":{"base":"5e3bbb1f7b578dcfe71fb631631519a3bca12c9a",'
        '"head":"4e3bbb1f7b478dcfe71fb631631519a3bca12c9a",'
        '"merge":"6e3bbb1f7b678dcfe71fb631631519a3bca12c9a"},'
        '"facts":{"none":null,"ok":true,"reviews":[1,2],"rules":"sha256:11","ü":{"a":"\\n","b":1}},'
        f'"facts_digest":"sha256:{"a" * 64}",'
        '"id":"01h","outcome":"ok","project":{"dir":"net","workspace":"staging"},"pull":7,"repo":"acme/infra",'
        '"resources":["aws_vpc.main","aws_subnet.a[\\"eu-1\\"]"],"run":"01hrun",'
        '"time":"2026-11-20T12:00:03.250Z","v":1}'
    )


def test_what_does_not_apply_is_null_and_never_left_out() -> None:
    bare = entry("rules.loaded", repo="", run="", head="", facts_digest="")
    assert json.loads(bare.body()) == {
        "v": 1, "id": "01h", "time": "2026-11-20T12:00:03.250Z", "action": "rules.loaded",
        "actor": {"kind": "user", "name": "bo"}, "repo": None, "pull": None, "project": None, "run": None,
        "commits": {"head": None, "base": None, "merge": None}, "outcome": "ok", "resources": [], "facts": {},
        "facts_digest": None,
    }  # fmt: skip


def test_times_are_in_utc_whatever_zone_they_come_in() -> None:
    here = TIME.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert Entry.new("01h", here, "rules.loaded", PRBOT, {}).time == "2026-11-20T12:00:03.250Z"
    with pytest.raises(EntryRefused, match="zone"):
        Entry.new("01h", TIME.replace(tzinfo=None), "rules.loaded", PRBOT, {})


def test_actors_of_one_name_and_different_kinds_are_told_apart() -> None:
    kinds = {each.kind: each.name for each in (PRBOT, user("prbot"), operator("prbot"))}
    assert kinds == {"prbot": "prbot", "user": "prbot", "operator": "prbot"}


facts = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
).filter(lambda value: json.dumps(value).count("[") + json.dumps(value).count("{") < 6)


@given(st.dictionaries(st.text(), facts, max_size=4), st.lists(st.text(max_size=5), max_size=3))
def test_the_bytes_are_read_back_to_the_same_entry(some: dict[str, Any], resources: list[str]) -> None:
    written = entry(facts=some, resources=resources)
    assert Entry.parse(written.body()) == written


@given(st.permutations(list(range(6))))
def test_the_order_of_keys_changes_nothing(order: list[int]) -> None:
    assert (
        entry(facts={f"k{each}": each for each in order}).body() == entry(facts={f"k{i}": i for i in range(6)}).body()
    )


@pytest.mark.parametrize("action", ["apply.allowed", "", "Apply.finished", "apply"])
def test_an_unknown_action_is_refused(action: str) -> None:
    with pytest.raises(EntryRefused, match="no action of the audit log"):
        entry(action)


def test_the_vocabulary_is_dotted_lower_case_and_says_what_each_word_means() -> None:
    for action, meaning in ACTIONS.items():
        assert Entry.parse(entry(action).body()).action == action
        assert meaning.endswith(".")


@pytest.mark.parametrize(
    ("about", "problem"),
    [
        ({"facts": {"cost": 1.5}}, "facts.cost is a float"),
        ({"facts": {"cost": float("nan")}}, "facts.cost is a float"),
        ({"facts": {"a": [{"b": b"x"}]}}, r"facts.a\[0\].b is a bytes"),
        ({"facts": {"when": TIME}}, "facts.when is a datetime"),
        ({"facts": {"n": 2**53}}, "facts.n is too large"),
        ({"facts": {"a": {1: 2}}}, "facts.a has a key that is not text"),
        ({"facts": {"a": [[[[[[[[1]]]]]]]]}}, "nested too deeply"),
        ({"facts": {"a": "\ud800"}}, "not JSON by RFC 8785"),
        ({"facts": {"\ud800": 1}}, "not JSON by RFC 8785"),
        ({"repo": "acme\n/infra"}, "repo: "),
        ({"repo": "acme/infra", "pull": 0}, "pull: "),
        ({"repo": "acme/infra", "pull": "7"}, "pull: "),
        ({"pull": 7}, "are of a repository"),
        ({"repo": "acme/other", "project": ProjectKey("acme/infra", "net")}, "the project is of acme/infra"),
        ({"head": "4e3bbb1"}, "commits|head"),
        ({"outcome": "good"}, "outcome: "),
        ({"facts_digest": "md5:1234"}, "facts_digest: "),
        ({"resources": [1]}, r"resources\.0: "),
    ],
)
def test_what_no_entry_may_hold_is_refused_by_name(about: dict[str, Any], problem: str) -> None:
    with pytest.raises(EntryRefused, match=problem):
        entry(**about).body()


def test_a_refusal_does_not_repeat_the_value() -> None:
    with pytest.raises(EntryRefused) as refusal:
        entry(facts_digest="hunter2-hunter2")
    assert "hunter2" not in str(refusal.value)


def test_an_entry_that_is_too_large_is_refused_with_its_size() -> None:
    assert entry(facts={"a": "x" * (MAX_FACTS_BYTES - 8)}).body()
    with pytest.raises(EntryRefused, match=r"apply\.authorized: facts of 65,537 bytes, when 65,536 are allowed"):
        entry(facts={"a": "x" * (MAX_FACTS_BYTES - 7)}).body()
    many = [f"module.m.aws_instance.web[{number:06}]" for number in range(20_000)]
    assert entry(resources=many).body()
    with pytest.raises(EntryRefused, match="when 1,048,576 are allowed"):
        entry(resources=[*many, *(f"{each}.more.of.it" for each in many)]).body()
    assert MAX_ENTRY_BYTES == 1_048_576


def test_bytes_that_prbot_would_not_write_are_no_entry() -> None:
    body = entry(facts={"n": 1}).body()
    parsed = json.loads(body)
    variants = [
        b"", b"null", b"[]", b"\xff", body + b" ", b" " + body, json.dumps(parsed).encode(),
        body.replace(b'"n":1', b'"n":1.0'), body.replace(b'"n":1', b'"n":1,"n":1'), body.replace(b'"v":1', b'"v":2'),
        body.replace(b'"pull":null,', b""), body.replace(b'"v":1', b'"v":1,"w":1'),
        body.replace(b"2026-11-20", b"2026-13-20"), body.replace(b'"ok"', b'"fine"'),
        body.replace(b'"n"', b'"\\u006e"'),
    ]  # fmt: skip
    assert Entry.parse(body)
    for each in variants:
        with pytest.raises(EntryRefused):
            Entry.parse(each)


def test_an_action_that_a_later_version_adds_can_be_read() -> None:
    later = entry().body().replace(b"apply.authorized", b"apply.rehearsed")
    assert Entry.parse(later).action == "apply.rehearsed"
