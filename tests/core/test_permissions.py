"""Who may give which command, and what the others are told."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from prbot.core.permissions import NEEDS, Allowed, Refused, Who, WhoMay, may, narrowed
from prbot.core.pulls import ROLES, Role, at_least


@pytest.mark.parametrize("command", ["plan", "apply", "approve", "cancel"])
def test_whoever_changes_something_needs_write_access(command: str) -> None:
    assert [role for role in ROLES if may(command, role) == Allowed()] == ["write", "maintain", "admin"]


@pytest.mark.parametrize("command", ["help", "version"])
def test_whoever_can_read_may_ask(command: str) -> None:
    assert [role for role in ROLES if may(command, role) == Allowed()] == [
        "read",
        "triage",
        "write",
        "maintain",
        "admin",
    ]


def test_a_refusal_says_what_is_missing_and_who_has_it() -> None:
    assert may("apply", "read") == Refused(
        "`apply` needs write access to this repository, and you have read access. Ask somebody with write access."
    )
    assert may("help", "none") == Refused(
        "`help` needs read access to this repository, and you have none. Ask somebody with read access."
    )


def test_a_lock_is_freed_by_its_holders_author_or_by_a_maintainer() -> None:
    assert may("unlock", "write", is_holder_author=True) == Allowed()
    assert may("unlock", "maintain") == Allowed()
    assert may("unlock", "admin") == Allowed()
    refused = may("unlock", "write")
    assert isinstance(refused, Refused)
    assert refused.reason == (
        "This is another author's pull request: `unlock` needs maintain access then, and you have write "
        "access. Ask that author, or somebody with maintain access."
    )


def test_a_holders_author_without_write_access_frees_nothing() -> None:
    for role in ("none", "read", "triage"):
        assert isinstance(may("unlock", role, is_holder_author=True), Refused)


def test_a_merged_change_is_discarded_by_a_maintainer_alone() -> None:
    assert may("unlock", "maintain", discards=True) == Allowed()
    refused = may("unlock", "write", is_holder_author=True, discards=True)
    assert isinstance(refused, Refused)
    assert "merged and not applied" in refused.reason


@pytest.mark.parametrize("command", sorted(NEEDS))
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("is_author", [True, False])
def test_nobody_is_refused_what_somebody_with_less_access_may(command: str, role: Role, is_author: bool) -> None:
    if may(command, role, is_holder_author=is_author) == Allowed():
        more = [each for each in ROLES if at_least(each, role)]
        assert {may(command, each, is_holder_author=is_author) for each in more} == {Allowed()}


def test_being_a_holders_author_helps_with_nothing_but_unlock() -> None:
    for command in set(NEEDS) - {"unlock"}:
        for role in ROLES:
            assert may(command, role, is_holder_author=True) == may(command, role)


def test_an_unknown_command_is_a_bug_and_not_a_permission() -> None:
    with pytest.raises(KeyError):
        may("destroy", "admin")


# -- as the rules narrow it -------------------------------------------------------------------------------------------
OPS = Who(apply=WhoMay(role="maintain"), cancel=WhoMay(users=("bo", "Cy")), unlock=WhoMay(role="admin", users=("bo",)))


def test_without_a_word_in_the_rules_nobody_is_refused_who_may() -> None:
    for command in NEEDS:
        for role in ROLES:
            if may(command, role, is_holder_author=True) == Allowed():
                assert narrowed(command, "al", role, Who()) == Allowed()


def test_every_command_that_needs_write_access_can_be_narrowed_and_no_other() -> None:
    assert set(Who.model_fields) == {command for command, needs in NEEDS.items() if needs.role == "write"}
    assert all(narrowed(command, "al", "read", OPS) == Allowed() for command in ("help", "version"))


@pytest.mark.parametrize(
    ("command", "user", "role", "said"),
    [
        ("apply", "al", "maintain", ""),
        ("apply", "al", "write", "keep `apply` for somebody with maintain access here, and you have write access."),
        ("cancel", "BO", "write", ""),
        ("cancel", "cy", "admin", ""),
        ("cancel", "al", "admin", "keep `cancel` for bo or Cy here, and you are not among them. Ask bo or Cy."),
        ("unlock", "bo", "admin", ""),
        ("unlock", "bo", "maintain", "keep `unlock` for bo (with admin access) here, and you have maintain access."),
        ("unlock", "al", "admin", "for bo (with admin access) here, and you are not among them."),
        ("plan", "al", "write", ""),
    ],
)
def test_a_role_a_list_or_both_must_be_met_and_a_refusal_says_whose_it_is(
    command: str, user: str, role: Role, said: str
) -> None:
    verdict = narrowed(command, user, role, OPS)
    if not said:
        assert verdict == Allowed()
    else:
        assert isinstance(verdict, Refused)
        assert said in verdict.reason


@pytest.mark.parametrize(
    "wrong", [{"role": "read"}, {"users": ()}, {"users": ["@bo"]}, {"users": ["acme/ops"]}, {"teams": ["ops"]}]
)
def test_what_would_widen_who_may_or_means_nobody_or_a_team_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        WhoMay.model_validate(wrong)
