"""What a seal says of facts that were looked at again."""

from __future__ import annotations

from dataclasses import asdict, fields, replace

import pytest

from prbot.core.plans import Seal, StatePosition
from prbot.core.seals import FACTS, seal_problems

SEAL = Seal(
    head_sha="h", base_sha="b", tree="t", input_digest="sha256:i", fingerprint="k1:f", plan_file_digest="sha256:p",
    lock_file="locked", provider_versions={"p": "1.0"}, state=StatePosition("l", 7),
)  # fmt: skip


def observed(seal: Seal) -> dict[str, object]:
    return {field.name: getattr(seal, field.name) for field in fields(seal)}


def test_every_fact_of_a_seal_has_words() -> None:
    assert list(FACTS) == list(asdict(SEAL))


def test_a_seal_holds_while_nothing_moved() -> None:
    assert seal_problems(SEAL, observed(SEAL)) == []


@pytest.mark.parametrize("name", FACTS)
def test_each_fact_that_moved_is_named(name: str) -> None:
    assert seal_problems(SEAL, {**observed(SEAL), name: "something else"}) == [
        f"{FACTS[name]} changed since the plan was sealed"
    ]


def test_what_was_not_looked_at_is_not_judged() -> None:
    moved = replace(SEAL, base_sha="other", state=StatePosition("l", 8))
    assert seal_problems(SEAL, {"state": moved.state}) == ["the state changed since the plan was sealed"]


def test_a_fact_that_no_seal_has_is_a_mistake() -> None:
    with pytest.raises(KeyError, match="head"):
        seal_problems(SEAL, {"head": "h"})
