"""What Terraform and OpenTofu print of a plan, made readable.

The forms are those of `terraform plan -no-color`, seen with 1.11.4, and of OpenTofu, which differs in its name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from prbot.core.comments.text import plain

_ENGINE = "(?:Terraform|OpenTofu)"
_BEGIN = re.compile(
    rf"^(?:{_ENGINE} used the selected\s+providers|{_ENGINE} will perform the following actions:"
    rf"|{_ENGINE} planned the following actions, but then|Note: Objects have changed outside of {_ENGINE}"
    r"|Changes to Outputs:|No changes\.)",
    re.MULTILINE,
)
_DIAGNOSTIC = re.compile(r"^(?:Warning|Error): ", re.MULTILINE)
_LEGEND = re.compile(
    rf"^{_ENGINE} used the selected\s+providers to generate the following execution\s+plan\. "
    r"Resource actions are indicated\s+with the following symbols:\n(?:.+\n)*\n?",
    re.MULTILINE,
)
_PROGRESS = re.compile(
    r"^(?:\S.*: (?:Refreshing(?: state)?\.\.\.|Reading\.\.\.|Still reading\.\.\.|Read complete after "
    r"|Preparing import\.\.\.|Opening\.\.\.|Opening complete after |Closing\.\.\.|Closing complete after ).*"
    r"|(?:Acquiring|Releasing) state lock\. This may take a few moments\.\.\.)(?:\n|\Z)",
    re.MULTILINE,
)
_RULE = re.compile("^\u2500{20,}\n", re.MULTILINE)
_FAREWELL = re.compile(
    "^\u2500{20,}\n\\s*"
    r"(?:Saved the plan to: .*\n\s*To perform exactly these actions, run the following\s+command to apply:\n.*"
    r"|Note: You didn't use the -out option to save this plan, so \S+ can't\s+guarantee to take exactly these actions "
    r'if you run "\S+ apply" now\.)\s*\Z',
    re.MULTILINE,
)


def extract_changes(plan_output: str) -> str:
    """Of all that `plan` printed: what changes, the counts, outputs, warnings and errors.

    Left out are the progress of refreshing and locking, the legend of symbols, and how to run the plan by hand. Output
    in which no plan is recognised comes back whole, but for the progress lines.
    """
    text = _FAREWELL.sub("", plain(plan_output))
    begin = _BEGIN.search(text)
    before, after = (text, "") if begin is None else (text[: begin.start()], text[begin.start() :])
    before = _PROGRESS.sub("", before) if begin is None or _DIAGNOSTIC.search(before) else ""
    return _RULE.sub("", before + _LEGEND.sub("", after, count=1)).strip("\n")


_CHANGE = re.compile(r"( *)(-/\+|\+/-|<=|[-+~])(?= )")
_HEREDOC = re.compile(r"(?:^|= |[-+~] )<<-?EOT(?: #.*)?$")


def to_diff(plan_text: str) -> str:
    """The plan's text in diff syntax: each line's symbol stands in the first column, `~` as `!`, and everything else
    stays where it was.

    Text of the user's own within a heredoc keeps its dashes and pluses; only the symbols that the engine put before a
    heredoc's lines are moved. Warnings and errors are left as they are.
    """
    heredoc: _Heredoc | None = None
    lines = plan_text.split("\n")
    for number, line in enumerate(lines):
        if heredoc is not None and heredoc.ends_at(line):
            heredoc = None
        elif heredoc is not None:
            lines[number] = heredoc.moved(line)
        elif _DIAGNOSTIC.match(line):
            break
        else:
            heredoc = _heredoc_after(line)
            lines[number] = _moved(line)
    return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class _Heredoc:
    """A multi-line value. Its name stands at `column`, the symbols of its lines two further, its text two more."""

    column: int

    def ends_at(self, line: str) -> bool:
        indent = len(line) - len(line.lstrip(" "))
        return bool(line.strip()) and indent <= self.column

    def moved(self, line: str) -> str:
        symbol = self.column + 2
        found = _CHANGE.match(line)
        return _moved(line) if found and found.start(2) == symbol else line


def _heredoc_after(line: str) -> _Heredoc | None:
    if not _HEREDOC.search(line.strip()):
        return None
    found = _CHANGE.match(line)
    return _Heredoc(found.end(2) + 1 if found else len(line) - len(line.lstrip(" ")))


def _moved(line: str) -> str:
    found = _CHANGE.match(line)
    if found is None:
        return line
    symbol = "!" if found[2] == "~" else found[2]
    return symbol + found[1] + line[found.end() :]
