"""What the rules file means, and what somebody who wrote it wrongly is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from prbot.core.credentials import Credential
from prbot.core.rules import EngineLimits, Rules
from prbot.rules_file import RulesFile
from prbot.settings import WrongSettings

Written = Callable[[str], RulesFile]


@pytest.fixture
def written(tmp_path: Path) -> Written:
    def write(text: str) -> RulesFile:
        file = tmp_path / "rules.yaml"
        file.write_text(text)
        return RulesFile(file)

    return write


# -- which repositories -----------------------------------------------------------------------------------------------
def test_the_last_entry_that_fits_wins_key_by_key(written: Written) -> None:
    rules = written(
        "defaults:\n  approvals: 2\n  drafts: false\n"
        "repos:\n  - match: acme/*\n    approvals: 3\n    locks: off\n  - match: Acme/Infra\n    approvals: 1\n"
    )
    found = [(each.approvals, each.locks, each.drafts) for each in map(rules, ("acme/infra", "acme/x", "other/x"))]
    assert found == [(1, "off", False), (3, "off", False), (2, "plan", False)]


def test_within_who_and_limits_it_goes_key_by_key_too_and_a_list_replaces_a_list(written: Written) -> None:
    rules = written(
        "defaults:\n  who: {apply: {role: maintain}, approve: {users: [bo, cy]}}\n  limits: {memory: 512, disk: 100}\n"
        "repos:\n  - match: acme/infra\n    who: {apply: {users: [mo]}, approve: {users: ~}}\n    limits: {memory: ~}\n"
    )("acme/infra")
    assert (rules.who.apply.role, rules.who.apply.users, rules.who.approve.users) == ("maintain", ("mo",), None)
    assert rules.limits == EngineLimits(memory=None, disk=100)


@pytest.mark.parametrize(
    ("match", "fitting"),
    [
        ("acme/infra", {"acme/infra", "ACME/Infra"}),
        ("acme/*", {"acme/infra", "ACME/Infra", "acme/net", "acme/infra-eu"}),
        (r"/^acme\/(infra|net)$/", {"acme/infra", "ACME/Infra", "acme/net"}),
        (r"/acme\/infra/", {"acme/infra", "ACME/Infra"}),
        (r"/.*infra/", {"acme/infra", "ACME/Infra", "other/infra"}),
        (r"[acme/net, '/other\/.+/']", {"acme/net", "other/infra"}),
    ],
)
def test_a_match_is_a_name_a_glob_a_regex_for_the_whole_name_or_a_list_of_them(
    written: Written, match: str, fitting: set[str]
) -> None:
    rules = written(f"repos:\n  - match: {match}\n    approvals: 7\n")
    names = {"acme/infra", "ACME/Infra", "acme/net", "acme/infra-eu", "other/infra"}
    assert {name for name in names if rules(name).approvals == 7} == fitting


def test_a_name_that_no_forge_has_reaches_no_regex(written: Written) -> None:
    rules = written("repos:\n  - match: '/(a+)+\\/b/'\n    approvals: 7\n")
    assert rules("a" * 198 + "/b").approvals == 7
    assert rules("a" * 199 + "/c" + "a" * 9).approvals == 1


# -- what is written --------------------------------------------------------------------------------------------------
def test_without_a_file_and_with_an_empty_one_every_default_is_in_force(written: Written) -> None:
    assert RulesFile(None)("acme/infra") == Rules() == written("")("acme/infra")
    assert RulesFile(None).digest == RulesFile(None).now.digest


@pytest.mark.parametrize("spelling", ["off", "'off'", '"off"'])
def test_off_is_a_word_with_and_without_quotes(written: Written, spelling: str) -> None:
    assert written(f"defaults:\n  locks: {spelling}\n")("acme/infra").locks == "off"


def test_words_that_yaml_takes_for_something_else_are_logins_and_yes_and_no_are_still_answers(written: Written) -> None:
    rules = written("defaults:\n  who: {approve: {users: [no, 123, on]}}\n  drafts: no\n  plan_lock: off\n")("a/b")
    assert (rules.who.approve.users, rules.drafts, rules.plan_lock) == (("no", "123", "on"), False, False)


def test_a_plain_name_of_a_credential_is_for_all_projects(written: Written) -> None:
    rules = written(
        "credentials:\n  base: {}\n  prod: {apply: {files: [/etc/prod.env]}}\n"
        "defaults:\n  credentials: [base, {name: prod, dirs: [prod/*]}]\n"
    )
    base, prod = rules("acme/infra").credentials
    assert (base.name, base.dirs, prod.name, prod.dirs) == ("base", ("*",), "prod", ("prod/*",))
    assert rules.credentials["base"] == Credential()
    assert rules.credentials["prod"].apply.files == (Path("/etc/prod.env"),)


def test_what_several_entries_share_can_be_written_once(written: Written) -> None:
    rules = written(
        "repos:\n  - &strict\n    match: acme/net\n    approvals: 2\n    drafts: no\n"
        "  - {<<: *strict, match: acme/infra, approvals: 3}\n  - {<<: *strict, match: acme/db}\n"
    )
    found = [(each.approvals, each.drafts) for each in map(rules, ("acme/net", "acme/infra", "acme/db", "acme/x"))]
    assert found == [(2, False), (3, False), (2, False), (1, True)]


def test_the_digest_is_of_what_the_file_means_and_not_of_how_it_is_written(written: Written) -> None:
    text = "credentials: {prod: {}}\nrepos:\n  - match: acme/*\n    approvals: 2\n    locks: off\n"
    same = "# a comment\nrepos: [{locks: 'off', approvals: 2, match: [acme/*]}]\ncredentials:\n  prod: {}\n"
    assert written(text).digest == written(same).digest
    changes = {
        "approvals: 2": "approvals: 3",
        "acme/*": "acme/x",
        "locks: off": "locks: plan",
        "{}": "{plan: {files: [/x]}}",
    }
    others = {written(text.replace(old, new)).digest for old, new in changes.items()}
    assert len(others - {written(text).digest}) == len(changes)


# -- mistakes ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("defaults:\n  aprovals: 2\n", "2: defaults.aprovals: there is no such key; did you mean approvals? There are"),
        ("defaults:\n\n  approvals: many\n", "3: defaults.approvals: expected a whole number"),
        ("defaults: {approvals: 11}\n", "1: defaults.approvals: expected 10 or less"),
        ("defaults: {approvals: true}\n", "1: defaults.approvals: expected a whole number"),
        ("defaults: {drafts: perhaps}\n", "1: defaults.drafts: expected true or false"),
        ("defaults: {branches: main}\n", "1: defaults.branches: expected a list, such as [a, b]"),
        ("defaults: {limits: 5}\n", "1: defaults.limits: expected lines of `key: value`, with the keys memory, "),
        ("defaults: {limits: {memory: 1}}\n", "1: defaults.limits.memory: expected 256 or more"),
        (
            "defaults: {who: {aply: {}}}\n",
            "1: defaults.who.aply: there is no such key; did you mean apply? There are: plan",
        ),
        (
            "defaults: {who: {apply: {role: read}}}\n",
            "1: defaults.who.apply.role: expected 'write', 'maintain' or 'admin'",
        ),
        ("defaults: {who: {apply: {users: []}}}\n", "1: defaults.who.apply.users: nobody at all is listed"),
        (
            "defaults: {who: {apply: {users: [acme/team]}}}\n",
            "1: defaults.who.apply.users[0]: expected a login, without @",
        ),
        ("defaults: 5\n", "1: defaults: expected `rule: value` lines"),
        ("repos:\n  - approvals: 2\n", "2: repos[0].match: is missing"),
        ("repos:\n  - match: acme\n", "2: repos[0].match: expected owner/name, a glob such as acme/*, or a regex"),
        ("repos:\n  - match:\n    - acme/x\n    - /acme(/\n", "4: repos[0].match[1]: not a regex, at its character 5"),
        ("repos:\n  - match: //\n", "2: repos[0].match: an empty regex"),
        ("repos:\n  - match: acme/*\n    locks: on\n", "3: repos[0].locks: expected 'plan', 'apply' or 'off'"),
        (
            "repos:\n  - match: acme/*\n    drafts: on\n    drafts: off\n",
            "4: repos[0].drafts: is here twice, first on line 3",
        ),
        ("repos: acme\n", "1: repos: expected a list"),
        ("repos: [acme/*]\n", "1: repos[0]: expected `match:` and `rule: value` lines"),
        (
            "default: {}\n",
            "1: default: there is no such key; did you mean defaults? There are: credentials, defaults, repos",
        ),
        (
            "credentials: {prod: {}}\ndefaults:\n  credentials:\n  - prd\n",
            "4: defaults.credentials[0]: there is no such credential; did you mean prod?",
        ),
        (
            "defaults: {credentials: [prod]}\n",
            "1: defaults.credentials[0]: there is no such credential. There are: none",
        ),
        (
            "credentials: {prod: {aply: {}}}\n",
            "1: credentials.prod.aply: there is no such key; did you mean apply? There are: plan, apply",
        ),
        ("credentials: {'a b': {}}\n", "1: credentials.a b: a name has letters, digits"),
        ("credentials: {prod: {plan: {aws: {region: eu-north-1}}}}\n", "1: credentials.prod.plan.aws.role: is missing"),
        ("- x\n", "1: expected the keys credentials, defaults, repos"),
        ("defaults: !vault x\n", "1: defaults: the tag !vault means nothing here"),
        ("defaults: &a\n  who: *a\n", "2: defaults.who: an alias that holds itself"),
        ("? [a]\n: b\n", "1: a key that is not text"),
    ],
)
def test_a_mistake_is_a_line_that_names_file_line_and_key_and_says_what_is_allowed(
    written: Written, tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(WrongSettings) as wrong:
        written(text)
    first, *_ = str(wrong.value).splitlines()
    assert first.startswith(f"{tmp_path / 'rules.yaml'}:{said}")


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file(written: Written) -> None:
    with pytest.raises(WrongSettings) as wrong:
        written("repos:\n  - match: nobody\n    locks: x\nrepo: 1\ndefaults:\n  credentials: [a]\n  approvals: x\n")
    places = [line.split(": ")[1] for line in str(wrong.value).splitlines()]
    assert places == ["repos[0].match", "repos[0].locks", "repo", "defaults.credentials[0]", "defaults.approvals"]


@pytest.mark.parametrize(
    "text",
    [
        "defaults: {approvals: s3cr3t-value}\n",
        "credentials: {prod: {plan: {aws: {role: s3cr3t-value, region: s3cr3t-value}}}}\n",
        "credentials: {prod: {plan: s3cr3t-value}}\n",
        "credentials: {prod: {plan: {commands: s3cr3t-value}}}\n",
        "repos: [{match: /s3cr3t-value(/}]\n",
        "defaults:\n  key: s3cr3t-value\n bad: [\n",
        "defaults: s3cr3t-value: x\n",
        "defaults: \x01 s3cr3t-value\n",
    ],
)
def test_what_was_written_is_never_repeated_since_it_may_be_a_secret(written: Written, text: str) -> None:
    with pytest.raises(WrongSettings) as wrong:
        written(text)
    assert "s3cr3t" not in str(wrong.value)


def test_a_file_that_is_no_yaml_or_not_there_or_no_text_is_one_line(written: Written, tmp_path: Path) -> None:
    with pytest.raises(WrongSettings, match=r"^PRBOT_RULES: .*/rules.yaml:2: not YAML: .+$"):
        written("a: b\n  x: [")
    with pytest.raises(WrongSettings, match=r"^PRBOT_RULES: .*/nowhere: cannot be read: No such file or directory$"):
        RulesFile(tmp_path / "nowhere")
    (tmp_path / "rules.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(WrongSettings, match=r"^PRBOT_RULES: .*/rules.yaml: cannot be read: it is not UTF-8 text$"):
        RulesFile(tmp_path / "rules.yaml")


def test_a_file_that_is_changed_is_in_force_only_once_it_is_put_there(written: Written, tmp_path: Path) -> None:
    rules = written("defaults: {approvals: 2}\n")
    (tmp_path / "rules.yaml").write_text("defaults: {approvals: 3}\n")
    found = rules.read()
    assert (rules("acme/infra").approvals, found.of("acme/infra").approvals) == (2, 3)
    rules.put(found)
    assert (rules("acme/infra").approvals, rules.digest) == (3, found.digest)
    (tmp_path / "rules.yaml").write_text("defaults: {aprovals: 3}\n")
    with pytest.raises(WrongSettings):
        rules.read()
    assert rules("acme/infra").approvals == 3
