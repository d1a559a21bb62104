"""Where a state is kept, and what a pull request does to that."""

from __future__ import annotations

import pytest

from prbot.core.plans import StatePosition
from prbot.core.states import Against, Places, elsewhere, place, told
from tests.core.repos import view_of


def backend(kind: str, **settings: str) -> str:
    lines = "".join(f"    {name} = {value}\n" for name, value in settings.items())
    return f'terraform {{\n  backend "{kind}" {{\n{lines}  }}\n}}\n'


def changed(before: str, after: str, workspace: str = "default") -> Places | None:
    one, other = (place(view_of({"net/main.tf": text}), "net", workspace) for text in (before, after))
    places = Places(one, other)
    return places if places.differ else None


S3 = {"bucket": '"states"', "key": '"net"', "region": '"eu-west-1"'}
SAID = "backend `s3` with `bucket` `states`, `key` `net`, `region` `eu-west-1`"


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (backend("s3", **{**S3, "key": '"network"'}), SAID.replace("`net`", "`network`")),
        (backend("s3", **{**S3, "bucket": '"others"'}), SAID.replace("`states`", "`others`")),
        (backend("s3", **{**S3, "region": '"us-east-1"'}), SAID.replace("eu-west-1", "us-east-1")),
        (backend("s3", **{**S3, "key": "var.key"}), SAID.replace("`net`", "`var.key`")),
        (backend("s3"), "backend `s3`"),
        (backend("gcs", bucket='"states"', prefix='"net"'), "backend `gcs` with `bucket` `states`, `prefix` `net`"),
        (backend("mine", where='"here"', token='"t"'), "backend `mine` with `token` `t`, `where` `here`"),
        (backend("http", address='"https://al:pass@host/net"'), "backend `http` with `address` `https://host/net`"),
        (
            'terraform {\n  cloud {\n    organization = "acme"\n    workspaces {\n      name = "net"\n    }\n  }\n}\n',
            "Terraform Cloud with `organization` `acme`, `workspaces.name` `net`",
        ),
    ],
)
def test_another_place_is_told_with_both(after: str, said: str) -> None:
    assert changed(backend("s3", **S3), after) == Places(SAID, said)


def test_what_is_no_place_of_it_may_change() -> None:
    assert changed(backend("s3", **S3), backend("s3", **S3, encrypt="true", use_lockfile="true")) is None
    assert (
        changed(backend("http", address='"https://al:old@h/s"'), backend("http", address='"https://bo:new@h/s"'))
        is None
    )
    assert changed("", backend("s3", **S3)) is None, "a new root module"


def test_a_prefix_of_workspaces_is_a_place_of_theirs_alone() -> None:
    before, after = backend("s3", **S3), backend("s3", **S3, workspace_key_prefix='"envs"')
    assert changed(before, after) is None
    assert changed(before, after, "staging") == Places(SAID, f"{SAID}, `workspace_key_prefix` `envs`")
    local = backend("local", path='"/states/net"', workspace_dir='"/states/ws"')
    moved = backend("local", path='"/states/net"', workspace_dir='"/states/others"')
    assert changed(local, moved) is None
    assert changed(local, moved, "staging") is not None
    assert changed(local, local.replace("/states/net", "/states/network"), "staging") is None


def test_what_is_told_says_what_lies_at_the_new_place() -> None:
    change = Places("backend `s3` with `key` `a`", "backend `s3` with `key` `b`")
    end = (
        "The old state stays where it is, and nothing manages what is in it any more. To keep managing that, move the "
        "state first (`terraform init -migrate-state`) and plan again. At least one approval is needed for this, "
        "whatever the rules say."
    )
    start = (
        "This pull request changes where the state is kept, from backend `s3` with `key` `a` to backend `s3` with "
        "`key` `b`."
    )
    empty = "There is no state: the plan knows nothing of what exists, so that it would create a second copy of it."
    there = "There is a state already (serial 3): the plan is made against that one."
    assert told(change, StatePosition(None, None)) == f"{start} {empty} {end}"
    assert told(change, StatePosition("l", 3)) == f"{start} {there} {end}"
    assert told(change, None) == f"{start} Nobody has looked yet at what is there. {end}"


def test_plans_are_of_one_state_by_the_code_and_by_the_backend_that_was_initialised() -> None:
    one = Against(None, "s3:aa", "k1")
    assert not elsewhere(one, one)
    assert elsewhere(one, Against(None, "s3:bb", "k1"))
    assert not elsewhere(one, Against(Places("a", "b"), "s3:aa", "k1")), "the backend is the same"
    assert elsewhere(one, Against(Places("a", "b"), "s3:aa", "k2"))
    assert not elsewhere(one, Against(None, "s3:bb", "k2")), "digests of another key say nothing"
    assert not elsewhere(one, Against(None, "", "k1"))
