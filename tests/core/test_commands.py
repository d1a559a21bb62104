from __future__ import annotations

import fnmatch
import re
from html import unescape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from prbot.core import commands
from prbot.core.command_help import help_text
from prbot.core.commands import SPECS, Args, Command, CommandError, Spec, approving, parse, to_paste
from prbot.core.comments.text import prose
from prbot.core.ids import ProjectKey
from prbot.core.marks import marked
from prbot.core.permissions import NEEDS


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
    "line",
    ["/prbot plan", "prbot: plan", "prbot, plan", "prbot : plan", "**prbot plan**", "**prbot** plan", "_prbot plan_",
     "__prbot plan__", "***prbot plan***", "**/prbot plan**", "**prbot:** plan", "@prbot plan", "@prbot, plan"],
)  # fmt: skip
def test_emphasis_a_slash_or_a_colon_changes_nothing(line: str) -> None:
    if line == "prbot : plan":
        assert "no command `:`" in error(line).problem
    else:
        assert only(line) == Command("plan")


@pytest.mark.parametrize(
    "body",
    [
        "> prbot plan",
        "> prbot plan\n> prbot apply",
        "> - prbot plan",
        "Like this:\n\n```\nprbot plan\n```",
        "~~~\nprbot plan\nand more",
        "Like this:\n\n    prbot plan",
        "I typed `prbot plan`",
        "a `code span\nprbot plan\nends here`",
        "<!--\nprbot plan\n-->",
        "hidden <!--\nprbot plan\n-->",
        "[a link\nprbot plan](https://example.com)",
        '[a link](https://example.com "its title\nprbot plan\n")',
        "![an image\nprbot plan](https://example.com/a.png)",
        "~~no\nprbot plan~~",
        "never <del>mind\nprbot plan</del>",
        "<details>\n<summary>log</summary>\n\nprbot plan\n\n</details>",
        "<details>\n<summary>log</summary>\nprbot plan\n</details>",
        "| a | b |\n|---|---|\n| prbot plan | x |\nprbot plan | y",
        "please type prbot plan",
        '"prbot plan"',
        "(prbot plan)",
        "- prbot plan looks good to me",
        "- prbot is slow",
        "1. prbot",
        "prbot:latest",
        "prbot.yaml is missing",
        "prbotplan",
        "",
    ],
)
def test_what_its_author_only_quotes_or_talks_about_is_no_command(body: str) -> None:
    assert parse(body) == []


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ("- prbot plan", "stands in a list"),
        ("* prbot plan", "stands in a list"),
        ("1. prbot plan", "stands in a list"),
        ("- [ ] one\n  prbot plan", "stands in a list"),
        ("- **prbot plan**", "stands in a list"),
        ("# prbot plan", "is a heading"),
        ("`prbot plan`", "is marked as code"),
        ("```\nprbot plan\n```", "is marked as code"),
        ("    prbot plan", "is marked as code"),
        ("> somebody wrote\nprbot plan", "belongs to the quote above it"),
        ("| a | b |\n|---|---|\n| c | d |\nprbot plan", "belongs to the table above it"),
        ("<div>\nprbot plan\n</div>", "stands in HTML"),
        ("<details>\n<summary>log</summary>\nx\n</details>\nprbot plan", "stands in HTML"),
        ("• prbot plan", "has other signs before its first word"),
        ("$ prbot plan", "has other signs before its first word"),
        ("\N{ROCKET} prbot plan", "has other signs before its first word"),
        ("\\- prbot plan", "has other signs before its first word"),
        ("prbot:plan", "no space after its first word"),
    ],
)
def test_what_may_be_an_example_is_answered_and_not_followed(body: str, where: str) -> None:
    found = error(body)
    assert where in found.problem
    assert found.hint == "Write it after an empty line, and without any marks: `prbot plan`."


def test_a_slip_in_what_may_be_an_example_is_told() -> None:
    assert "Did you mean `plan`?" in error("- prbot pln").hint


@pytest.mark.parametrize(
    ("line", "problem", "hint"),
    [
        ("prbot approve_policies", "overrides failed policy checks in Atlantis", "nothing is to be overridden"),
        ("prbot approve-policies", "overrides failed policy checks in Atlantis", "nothing is to be overridden"),
        ("prbot approve policies", "overrides failed policy checks in Atlantis", "nothing is to be overridden"),
        ("prbot Approve_Policies --policy-set x", "`Approve_Policies` overrides", "nothing is to be overridden"),
        ("prbot import aws_vpc.x vpc-1", "without a review in Atlantis", "`import` block"),
        ("prbot state rm net", "without a review in Atlantis", "`removed` block"),
        ("prbot lock", "takes a project's lock in Digger", "`prbot plan` takes it"),
        ("prbot disapprove", "no command `disapprove`", "Request changes in a review"),
        ("prbot destroy", "no command `destroy`", "Remove the resources from the code"),
        ("prbot apply --auto-merge-disabled", "prbot does not merge", "Leave it out"),
        ("prbot plan -target=a.b", "argument of the engine's", "`prbot plan -- -target=a.b`"),
        (
            "prbot apply --allow-destroy -d old",
            "does not destroy what a removed directory",
            "Bring the directory back.",
        ),
    ],
)
def test_a_word_of_another_tool_is_answered_with_what_it_was_and_what_to_use_here(
    line: str, problem: str, hint: str
) -> None:
    found = error(line)
    assert problem in found.problem
    assert hint in found.hint
    assert "Did you mean" not in found.hint


@pytest.mark.parametrize("word", ["unapproved", "reapply", "unplan", "noapply", "preapprove", "disapproved"])
def test_a_word_that_takes_the_sense_of_a_command_away_is_not_taken_for_it(word: str) -> None:
    assert "Did you mean" not in error(f"prbot {word}").hint


@pytest.mark.parametrize(
    "body",
    [
        "> a quote\n\nprbot plan",
        "*really\nprbot plan\nnow*",
        "a <br>\nprbot plan",
        "prbot plan\n-- \nBo, by mail",
        "<details><summary>log</summary>\n\nx\n\n</details>\n\nprbot plan",
    ],
)
def test_what_stands_beside_a_quote_or_in_plain_emphasis_is_a_command(body: str) -> None:
    assert parse(body) == [Command("plan")]


HEADER = "From: al <notifications@github.com>\nSent: Monday\nTo: acme/infra <infra@reply.github.com>\n\n"


@pytest.mark.parametrize(
    "mail",
    [
        f"Looks good.\n\n________________________________\n{HEADER}prbot unlock\n",
        "Looks good.\n\n-----Original Message-----\nFrom: al\nSent: Monday\n\nprbot unlock\n",
        "Gut.\n\n**Von:** al <notifications@github.com>\n**Gesendet:** Montag\n\nprbot unlock\n",
        "Good.\n\nOn Mon, 29 Nov 2026, al <notifications@github.com> wrote:\n\n> prbot unlock\n",
    ],
)
def test_a_reply_by_mail_says_nothing_of_what_the_letter_said_that_it_replies_to(mail: str) -> None:
    assert parse(mail) == []
    assert parse(f"prbot plan\n\n{mail}") == [Command("plan")]


def test_below_a_letter_that_is_quoted_line_by_line_a_command_is_one() -> None:
    mail = "On Mon, 29 Nov 2026, al <notifications@github.com> wrote:\n\n> prbot unlock\n\nprbot plan\n"
    assert parse(mail) == [Command("plan")]


@pytest.mark.parametrize(
    ("sentence", "meant"),
    [
        ("could you @ops-bot plan -d net please?", "@ops-bot plan -d net"),
        ("Thanks! @ops-bot, apply.", "@ops-bot apply"),
        ("now (@prbot unlock) it is free", "@prbot unlock"),
    ],
)
def test_whoever_is_called_within_a_sentence_answers_and_does_nothing(sentence: str, meant: str) -> None:
    (found,) = parse(sentence, bot="ops-bot[bot]")
    assert found == CommandError(
        sentence,
        "This stands within a sentence: it may be an example, and is not followed.",
        f"Write it on a line of its own: `{meant}`.",
    )


@pytest.mark.parametrize(
    "sentence",
    [
        "I like @ops-bot a lot", "mail me@ops-bot plan", "use `@ops-bot plan` for that", "please run prbot plan",
        "see [@ops-bot plan](http://x)", "ask @ops-bot-2 plan", "> could you @ops-bot plan", "ask @ops-bot",
    ],
)  # fmt: skip
def test_who_is_only_spoken_of_stays_silent(sentence: str) -> None:
    assert parse(sentence, bot="ops-bot[bot]") == []


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


def test_fingerprints_are_lower_case_after_parsing() -> None:
    assert only("prbot approve 7F3A") == Command("approve", args=("7f3a",))


@pytest.mark.parametrize(
    ("written", "meant"),
    [("./net/", "net"), (".", "."), ("a/../b", "b"), ("a//b", "a/b"), ("net/**", "net/**"), ("'*'", "*")],
)
def test_directories_are_normalised(written: str, meant: str) -> None:
    assert only(f"prbot plan -d {written}").dirs == (meant,)


@pytest.mark.parametrize(
    ("written", "meant"),
    [("-d=-leading", "-leading"), ("--dir=--help", "--help"), ("'-d=-a b'", "-a b"), ("-d ./-x", "-x"), ("-d=–x", "–x"),
     ("-d './~x'", "~x"), ("-d ./C:", "C:"), ("-d '`x`|y'", "`x`|y"), ("-d \\`x", "`x"), ('-d "a`b"', "a`b"),
     ("-d '“x”'", "“x”"), ("-d 'a\u00a0b'", "a\u00a0b")],
)  # fmt: skip
def test_every_directory_can_be_named(written: str, meant: str) -> None:
    assert only(f"prbot plan {written}").dirs == (meant,)


@pytest.mark.parametrize(
    "name",
    ["net", "-leading", "--help", "`x`|y", "``", "a b", "a  b", "a\\b", "~x", "C:", "–x", "“x”", "a'b", 'a"b', "$(x)",
     "a\u00a0b", "a\u202eb", "a\nb", "*", "x`", "a;b", "#1", "@team/x", "<b>", "é"],
)  # fmt: skip
def test_what_our_comments_show_of_any_directory_can_be_pasted(name: str) -> None:
    sentence = f"Type {marked(to_paste('plan', ProjectKey('acme/infra', name)))} there."
    html = MarkdownIt("commonmark").render(prose(sentence))
    [shown] = re.findall("<code>(.*?)</code>", html, re.DOTALL)
    command = only(unescape(shown))
    assert len(command.dirs) == 1
    assert fnmatch.fnmatchcase(name, command.dirs[0].replace("[", "[[]"))


def test_a_plan_is_approved_by_its_fingerprint_and_where_two_share_it_by_its_directory_too() -> None:
    net, dns, app = (ProjectKey("acme/infra", name) for name in ("net", "dns x", "app"))
    same, other = "k1:7f3a9c21" + "0" * 56, "k1:0b5d17aa" + "0" * 56
    assert approving([(net, same), (app, other)], "tf") == ["tf approve 7f3a9c21", "tf approve 0b5d17aa"]
    lines = approving([(net, same), (dns, same), (app, other)])
    assert lines == ["prbot approve 7f3a9c21 -d net", "prbot approve 7f3a9c21 -d 'dns x'", "prbot approve 0b5d17aa"]
    assert only(lines[1]) == Command("approve", args=("7f3a9c21",), dirs=("dns x",))


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
        ("prbot frobnicate", "no command `frobnicate`", "`plan`, `apply`, `approve`"),
        ("prbot --help", "no command `--help`", "`prbot help`"),
        ("prbot plan --vebose", "no flag `--vebose`", "Did you mean `--verbose`? `plan` takes `-d`"),
        ("prbot plan -x", "no flag `-x`", "`plan` takes `-d`"),
        ("prbot plan -dnet", "no flag `-dnet`", "`-d`"),
        ("prbot version -d net", "`version` does not take `-d`", "`version` takes no flags"),
        ("prbot apply -- -x", "`apply` does not take `--`", "`apply` takes"),
        ("prbot approve --verbose", "`approve` does not take `--verbose`", "`approve` takes"),
        ("prbot plan -d", "`-d` needs a value", "Write `-d DIR`"),
        ("prbot plan -d=", "`-d` needs a value", "Write `-d DIR`"),
        ("prbot plan -d ''", "`-d` needs a value", "Write `-d DIR`"),
        ("prbot plan -d -- -x", "`-d` needs a value", "Write `-d DIR`"),
        ("prbot plan -d --verbose", "begins with a hyphen", "Write `-d DIR`"),
        ("prbot plan -d -x", "begins with a hyphen", "If that is how a name begins, write `-d=-x`."),
        ("prbot plan -w a -w b", "`-w` is given twice", "takes it once"),
        ("prbot plan --verbose=yes", "`--verbose` takes no value", "Write just `--verbose`"),
        ("prbot plan -w a/b", "cannot be a workspace's name", "letter"),
        ("prbot plan -w ..", "cannot be a workspace's name", "letter"),
        ("prbot plan net", "`plan` does not take `net`", "`prbot plan -d DIR`"),
        ("prbot apply failed again", "`apply` does not take `failed`", "Write just `prbot apply`"),
        ("prbot help me", "`help` does not take `me`", "Write just `prbot help`"),
        ("prbot approve abc", "not the beginning of a fingerprint", "at least its first 4"),
        ("prbot approve 7f3a 0b5d", "`approve` takes one word", "`prbot approve [FINGERPRINT]`, once for each"),
        ("prbot approve wxyz", "not the beginning of a fingerprint", "at least its first 4"),
        ("prbot plan -d 'net", "A quote is opened", "Close it"),
        ("prbot plan \\", "ends with a backslash", "leave the backslash out"),
        ("prbot unlock \\\n  -d net", "ends with a backslash", "leave the backslash out"),
        ("\ufeffprbot plan", "invisible character (U+FEFF)", "Type it anew"),
        (":rocket: prbot plan", "other signs before its first word", "without any marks: `prbot plan`"),
        ("prbot plan -d `net`", "a backtick", "without code marks"),
        ("prbot plan -d `net\nand` more", "must fit on one line", "alone on its line"),
        ("prbot plan -d “net”", "typographic quote (“)", "straight quotes"),
        ("prbot plan —verbose", "typographic dash", "Type plain hyphens: `--verbose`"),
        ("prbot plan –d net", "typographic dash", "Type plain hyphens: `-d`"),
        ("prbot plan -- —refresh-only", "typographic dash", "Type plain hyphens: `--refresh-only`"),
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
    assert "this one has more" in found[10].problem
    assert len(found) == 11


def test_a_text_that_no_forge_would_take_is_refused_unread() -> None:
    [found] = parse("prbot plan\n" + "x" * commands.LONGEST_BODY)
    assert isinstance(found, CommandError)
    assert "too long" in found.problem


# -- the table --------------------------------------------------------------------------------------------------------
def test_a_new_command_is_one_row() -> None:
    specs = (*SPECS, Spec("state rm", "Forget.", (commands.DIR,), Args("ADDR…", least=1, most=5)))
    assert parse("prbot state rm a.b -d net", specs=specs) == [Command("state rm", dirs=("net",), args=("a.b",))]
    [lacking, typo] = parse("prbot state rm\nprbot state-rm", specs=specs)
    assert isinstance(lacking, CommandError)
    assert lacking.hint == "Write `prbot state rm ADDR…`."
    assert isinstance(typo, CommandError)
    assert "`state rm`" in typo.hint


def test_the_help_shows_every_command_and_flag_with_the_prefix_in_use() -> None:
    text = help_text("tf")
    assert all(f"| `tf {spec.name}" in text for spec in SPECS)
    assert all(f"`{name}" in text for flag in commands.FLAGS for name in flag.names)
    assert parse(text, prefixes=("tf",)) == []


def test_who_may_is_said_of_every_command_and_of_nothing_else() -> None:
    assert set(NEEDS) == {spec.name for spec in SPECS}


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
PREFIXES = st.lists(st.from_regex("[0-9a-f]{4,64}", fullmatch=True), max_size=1).map(tuple)
COMMANDS = st.one_of(
    st.builds(Command, st.just("plan"), **CHOICE, extra_args=st.lists(WORD, max_size=3).map(tuple)),
    st.builds(Command, st.just("plan"), **CHOICE, verbose=st.booleans()),
    st.builds(Command, st.just("apply"), **CHOICE),
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
def test_no_command_is_followed_in_what_is_quoted(command: Command, wrapping: str) -> None:
    found = parse(wrapping.format(command.to_line().replace("-->", "")))
    assert not [each for each in found if isinstance(each, Command)]
