from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prbot.core import commands
from prbot.core.commands import SPECS, Args, Command, CommandError, Spec, help_text, parse
from prbot.core.permissions import MINIMUM_ROLE


def only(line: str) -> Command:
    [found] = parse(line, bot="gate[bot]")
    assert isinstance(found, Command), found
    return found


def error(line: str) -> CommandError:
    [found] = parse(line, bot="gate[bot]")
    assert isinstance(found, CommandError), found
    return found


# -- what is a command ------------------------------------------------------------------------------------------------
def test_a_comment_may_hold_several_commands_one_a_line() -> None:
    assert parse("Thanks!\n\nprbot plan -d net\r\nprbot unlock\n\nprbot help") == [
        Command("plan", dirs=("net",)),
        Command("unlock"),
        Command("help"),
    ]


@pytest.mark.parametrize(
    "line", ["prbot plan", "  prbot plan ", "PRBOT Plan", "@gate plan", "@Gate: plan", "prbot\u00a0plan", "prbot\tplan"]
)
def test_the_prefix_may_be_written_in_any_case_or_be_a_mention(line: str) -> None:
    assert only(line) == Command("plan")


def test_every_accepted_prefix_works_and_no_other() -> None:
    assert parse("tf plan\ngate apply\nprbot help", prefixes=("tf", "gate")) == [Command("plan"), Command("apply")]


def test_without_a_login_a_mention_is_no_prefix() -> None:
    assert parse("@gate plan") == []


@pytest.mark.parametrize(
    "body",
    [
        "> prbot plan",
        "> somebody wrote\nprbot plan",
        "- prbot plan",
        "1. prbot plan",
        "```\nprbot plan\n```",
        "~~~\nprbot plan",
        "    prbot plan",
        "`prbot plan`",
        "a `code span\nprbot plan\nends here`",
        "# prbot plan",
        "<!--\nprbot plan\n-->",
        "hidden <!--\nprbot plan\n-->",
        "<div>\nprbot plan\n</div>",
        "[a link\nprbot plan](https://example.com)",
        '[a link](https://example.com "its title\nprbot plan\n")',
        "![an image\nprbot plan](https://example.com/a.png)",
        "~~no\nprbot plan~~",
        "never <del>mind\nprbot plan</del>",
        "<details>\n<summary>log</summary>\n\nprbot plan\n\n</details>",
        "| a | b |\n|---|---|\n| prbot plan | x |\nprbot plan | y",
        "please type prbot plan",
        "prbotplan",
        "",
    ],
)
def test_what_its_author_does_not_say_plainly_is_no_command(body: str) -> None:
    assert parse(body) == []


@pytest.mark.parametrize(
    "body",
    [
        "> a quote\n\nprbot plan",
        "*really\nprbot plan\nnow*",
        "a <br>\nprbot plan",
        "prbot plan\n-- \nBo, by mail",
        "prbot plan\\\nplease",
        "<details><summary>log</summary>\n\nx\n\n</details>\n\nprbot plan",
    ],
)
def test_what_stands_beside_a_quote_or_in_plain_emphasis_is_a_command(body: str) -> None:
    assert parse(body) == [Command("plan")]


def test_globs_survive_markdown() -> None:
    body = "prbot plan -d modules/* -d net_*\nprbot plan -d */dns -p app\\_*"
    assert parse(body) == [
        Command("plan", dirs=("modules/*", "net_*")),
        Command("plan", dirs=("*/dns",), projects=("app_*",)),
    ]


@pytest.mark.parametrize("line", ["prbot is great, thanks", "prbot and I agree.", "@gate what do you think?"])
def test_a_sentence_about_prbot_is_not_answered(line: str) -> None:
    assert parse(line, bot="gate") == []


# -- what it says -----------------------------------------------------------------------------------------------------
def test_everything_that_can_be_said_is_understood() -> None:
    line = "prbot plan -d net -d 'a b' --dir=dns/ -w prod -p app* --verbose -- -refresh-only '-var=x=a b'"
    assert only(line) == Command(
        "plan", dirs=("net", "a b", "dns"), workspace="prod", projects=("app*",), verbose=True,
        extra_args=("-refresh-only", "-var=x=a b"),
    )  # fmt: skip
    assert only(line).line == line
    assert only("prbot apply --allow-destroy -d old") == Command("apply", dirs=("old",), allow_destroy=True)


def test_fingerprints_are_lower_case_after_parsing() -> None:
    assert only("prbot approve 7F3A") == Command("approve", args=("7f3a",))


@pytest.mark.parametrize(
    ("written", "meant"),
    [("./net/", "net"), (".", "."), ("a/../b", "b"), ("a//b", "a/b"), ("net/**", "net/**"), ("'*'", "*")],
)
def test_directories_are_normalised(written: str, meant: str) -> None:
    assert only(f"prbot plan -d {written}").dirs == (meant,)


@pytest.mark.parametrize("path", ["/etc", "~/x", "..", "../x", "a/../../x", "*/../../x", "C:/x", "'a\\b'", "**/.."])
def test_a_directory_outside_of_the_repository_is_an_error(path: str) -> None:
    assert "`" in error(f"prbot plan -d {path}").problem


@pytest.mark.parametrize(
    ("line", "problem", "hint"),
    [
        ("prbot", "No command was given.", "`prbot help`"),
        ("@gate", "No command was given.", "`@gate help`"),
        ("prbot pln", "no command `pln`", "Did you mean `plan`?"),
        ("prbot approved, thank you", "no command `approved,`", "Did you mean `approve`?"),
        ("prbot destroy", "no command `destroy`", "`plan`, `apply`, `approve`"),
        ("prbot --help", "no command `--help`", "`prbot help`"),
        ("prbot plan --vebose", "no flag `--vebose`", "Did you mean `--verbose`? `plan` takes `-d`"),
        ("prbot plan -x", "no flag `-x`", "`plan` takes `-d`"),
        ("prbot plan -dnet", "no flag `-dnet`", "`-d`"),
        ("prbot version -d net", "`version` does not take `-d`", "`version` takes no flags"),
        ("prbot apply -- -x", "`apply` does not take `--`", "`apply` takes"),
        ("prbot plan --allow-destroy", "`plan` does not take `--allow-destroy`", "`plan` takes"),
        ("prbot plan -d", "`-d` needs a value", "Write `-d DIR`"),
        ("prbot plan -d=", "`-d` needs a value", "Write `-d DIR`"),
        ("prbot plan -d ''", "`-d` needs a value", "Write `-d DIR`"),
        ("prbot plan -d -- -x", "`-d` needs a value", "Write `-d DIR`"),
        ("prbot plan -d --verbose", "begins with a hyphen", "Write `-d DIR`"),
        ("prbot plan --dir=-x", "begins with a hyphen", "Write `--dir DIR`"),
        ("prbot plan -w a -w b", "`-w` is given twice", "takes it once"),
        ("prbot plan --verbose=yes", "`--verbose` takes no value", "Write just `--verbose`"),
        ("prbot plan -w a/b", "cannot be a workspace's name", "letter"),
        ("prbot plan -w ..", "cannot be a workspace's name", "letter"),
        ("prbot plan net", "`plan` does not take `net`", "`prbot plan -d DIR`"),
        ("prbot apply failed again", "`apply` does not take `failed`", "Write just `prbot apply`"),
        ("prbot help me", "`help` does not take `me`", "Write just `prbot help`"),
        ("prbot approve abc", "not the beginning of a fingerprint", "at least its first 4"),
        ("prbot approve wxyz", "not the beginning of a fingerprint", "at least its first 4"),
        ("prbot plan -d 'net", "A quote is opened", "Close it"),
        ("prbot plan \\", "ends with a backslash", "leave the backslash out"),
        ("prbot plan -d `net`", "a backtick", "without code marks"),
        ("prbot plan -d `net\nand` more", "must fit on one line", "alone on its line"),
        ("prbot plan -d “net”", "typographic quote (“)", "straight quotes"),
        ("prbot plan —verbose", "typographic dash", "Type two hyphens: `--verbose`"),
        ("prbot plan –d net", "typographic dash", "two hyphens"),
        ("prbot plan -- —refresh-only", "typographic dash", "two hyphens"),
        ("prb\u200bot plan", "invisible character (U+200B)", "Type it anew"),
        ("prbot plan -d ne\u202et", "invisible character (U+202E)", "Type it anew"),
        ("prbot plan -d a\x07b", "invisible character (U+0007)", "Type it anew"),
        ("prbot plan -d a\u2028b", "invisible character (U+2028)", "Type it anew"),
        ("prbot plan -d a\x00b", "invisible character (U+FFFD)", "Type it anew"),
    ],
)  # fmt: skip
def test_a_mistake_is_explained(line: str, problem: str, hint: str) -> None:
    found = error(line)
    assert problem in found.problem
    assert hint in found.hint


def test_only_so_many_commands_of_a_comment_are_read() -> None:
    found = parse("prbot plan\n\n" * 12)
    assert found[:10] == [Command("plan")] * 10
    assert isinstance(found[10], CommandError)
    assert "this one has 12" in found[10].problem
    assert len(found) == 11


def test_a_text_that_no_forge_would_take_is_refused_unread() -> None:
    [found] = parse("prbot plan\n" + "x" * commands.LONGEST_BODY)
    assert isinstance(found, CommandError)
    assert "too long" in found.problem


# -- the table --------------------------------------------------------------------------------------------------------
def test_a_new_command_is_one_row() -> None:
    specs = (*SPECS, Spec("state rm", "Forget.", "write", (commands.DIR,), Args("ADDR…", least=1, most=5)))
    assert parse("prbot state rm a.b -d net", specs=specs) == [Command("state rm", dirs=("net",), args=("a.b",))]
    [lacking, typo] = parse("prbot state rm\nprbot state-rm", specs=specs)
    assert isinstance(lacking, CommandError)
    assert lacking.hint == "Write `prbot state rm ADDR…`."
    assert isinstance(typo, CommandError)
    assert "`state rm`" in typo.hint
    assert "| `prbot state rm ADDR…` | Forget. | write access |" in help_text(specs=specs)


def test_the_help_shows_every_command_and_flag_with_the_prefix_in_use() -> None:
    text = help_text("tf")
    assert all(f"| `tf {spec.name}" in text for spec in SPECS)
    assert all(f"`{name}" in text for flag in commands.FLAGS for name in flag.names)
    assert parse(text, prefixes=("tf",)) == []


def test_the_roles_are_those_that_permissions_ask_for() -> None:
    assert all(MINIMUM_ROLE[spec.name] == spec.role for spec in SPECS)


# -- whatever is typed ------------------------------------------------------------------------------------------------
HOSTILE = st.lists(
    st.sampled_from(
        ["prbot", " ", "\n", "plan", "apply", "-d", "--", "-", "'", '"', "`", "\\", ">", "- ", "<!--", "-->", "[", "](",
         ")", "~~", "*", "_", "|", "```", "    ", "\r", "\x00", "\u200b", "—", "“", "@gate", "<details>", "</details>",
         "approve", "7f3a", "\ud800", "."]
    )
    | st.text(max_size=4),
    max_size=30,
).map("".join)  # fmt: skip

WORD = st.text(
    st.characters(codec="utf-8", exclude_categories=("C", "Z"), exclude_characters="`“”„‟‘’‚‛«»\ufffd") | st.just(" "),
    min_size=1,
).map(lambda text: "x" + text)
DIR = st.from_regex(r"[a-z*_][a-z0-9*_ '\"-]{0,5}(/[a-z][a-z0-9*_\[\]{}~&|<>!#]{0,5}){0,2}", fullmatch=True).map(
    str.strip
)
CHOICE = {
    "dirs": st.lists(DIR, unique=True, max_size=3).map(tuple),
    "workspace": st.none() | st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,9}", fullmatch=True),
    "projects": st.lists(WORD, unique=True, max_size=3).map(tuple),
}
PREFIXES = st.lists(st.from_regex("[0-9a-f]{4,64}", fullmatch=True), max_size=20).map(tuple)
COMMANDS = st.one_of(
    st.builds(Command, st.just("plan"), **CHOICE, extra_args=st.lists(WORD, max_size=3).map(tuple)),
    st.builds(Command, st.just("apply"), **CHOICE, verbose=st.booleans(), allow_destroy=st.booleans()),
    st.builds(Command, st.just("approve"), args=PREFIXES),
    st.builds(Command, st.sampled_from(["help", "version"])),
)  # fmt: skip


@settings(max_examples=300)
@given(HOSTILE)
def test_no_text_makes_the_parser_raise(body: str) -> None:
    for found in parse(body, bot="gate"):
        assert isinstance(found, Command | CommandError)


@settings(max_examples=150)
@given(COMMANDS)
def test_a_command_written_as_a_line_is_read_back(command: Command) -> None:
    assert parse(command.to_line()) == [command]
    assert parse(f"Hello\n\n{command.to_line('tf')}\nBye", prefixes=("tf",)) == [command]


@settings(max_examples=100)
@given(
    COMMANDS, st.sampled_from(["> {}", "- {}", "```\n{}\n```", "<!--\n{}\n-->", "    {}", "~~~\n{}", "1. {}", "# {}"])
)
def test_no_command_is_read_in_what_is_quoted(command: Command, wrapping: str) -> None:
    assert parse(wrapping.format(command.to_line().replace("-->", ""))) == []
