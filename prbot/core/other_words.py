"""Words that people know from other tools, or that are not there yet: what each was, and what to use here.

A word that means another act here is worse than none: these are answered before anything is guessed.
"""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType

from prbot.core.marks import marked

_TOOL = "`{word}` is a command of Terraform's, not of prbot's."
_LATER = "prbot has no `{word}` yet."
_NO = "There is no command `{word}`."

_IMPORT = "Write an `import` block: it is reviewed and applied like every other change."
_DESTROY = (
    "Remove the resources from the code, and keep the directory with its backend: what is destroyed is then planned, "
    "reviewed and applied like every other change."
)
_OBJECT = "Request changes in a review: that blocks until you review again."
_AGAIN = "`{prefix} plan` plans again, and `{prefix} apply` retries an apply that failed."
_STANDS = "`{prefix} apply` answers with every requirement and what would meet it."

WORDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "approve_policies": (
            "`{word}` overrides failed policy checks in Atlantis.",
            "prbot checks no policies yet, so that none can have failed and nothing is to be overridden.",
        ),
        "policy": (_LATER, "No policies are checked, so that none can have failed."),
        "import": ("`{word}` changes the state without a review in Atlantis.", _IMPORT),
        "state_rm": (
            "`{word}` changes the state without a review in Atlantis.",
            "Write a `removed` block with `destroy = false`: it is reviewed and applied like every other change.",
        ),
        "state_mv": ("`{word}` changes the state without a review.", "Write a `moved` block, which is reviewed."),
        "state": (_TOOL, "Write `import`, `moved` and `removed` blocks: what they do is reviewed."),
        "destroy": (_NO, _DESTROY),
        "lock": ("`{word}` takes a project's lock in Digger.", "Here, `{prefix} plan` takes it."),
        "locks": (_NO, f"{_STANDS} It says who holds what."),
        "status": (_NO, _STANDS),
        "gate": (_NO, _STANDS),
        "merge": (_NO, "Merge at the forge: what is merged is applied."),
        "automerge": (_NO, "Merge at the forge: what is merged is applied."),
        "autoapply": (_NO, "Merge at the forge: what is merged is applied."),
        "apply_force": (_NO, f"Nothing applies without what is required. {_STANDS}"),
        "apply_all": (_NO, "`{prefix} apply` is for every project of the pull request."),
        "plan_all": (_NO, "`{prefix} plan` is for every affected project of the pull request."),
        "run": (_NO, _AGAIN),
        "rerun": (_NO, _AGAIN),
        "retry": (_NO, _AGAIN),
        "replan": (_NO, _AGAIN),
        "preview": (_NO, "`{prefix} plan` plans again."),
        "confirm": (_NO, "Review the plan, approve the pull request and merge it: it is then applied."),
        "deploy": (_NO, "Review the plan, approve the pull request and merge it: it is then applied."),
        "discard": (_NO, "`{prefix} unlock` gives up what is merged and not applied."),
        "force_unlock": (_TOOL, "`{prefix} unlock` gives up this pull request's locks; it leaves Terraform's alone."),
        "stop": (_NO, "`{prefix} cancel` stops what is running or queued here."),
        "abort": (_NO, "`{prefix} cancel` stops what is running or queued here."),
        "reject": (_NO, _OBJECT),
        "deny": (_NO, _OBJECT),
        "disapprove": (_NO, _OBJECT),
        "unapprove": (_NO, "Request changes in a review, or have your review dismissed."),
        "lgtm": (_NO, "Approve the pull request by a review."),
        "rollback": (_LATER, "Revert the change with a new pull request."),
        "revert": (_NO, "Revert the change with a new pull request."),
        "drift": (_LATER, "`{prefix} plan` shows what differs now."),
        "why": (_LATER, _STANDS),
        "init": (_TOOL, "`{prefix} plan` runs it by itself."),
        "validate": (_TOOL, "`{prefix} plan` finds the same mistakes."),
        "refresh": (_TOOL, "`{prefix} plan` reads what there is by itself."),
        "fmt": (_TOOL, "prbot does not run it."),
        "test": (_TOOL, "prbot does not run it."),
        "show": (_TOOL, "prbot's comment shows the plan; `{prefix} plan --verbose` shows all that was printed."),
        "output": (_TOOL, "prbot does not run it."),
        "taint": (_TOOL, "prbot does not run it."),
        "replace": (_NO, "prbot does not replace what the code does not change."),
    }
)
"""By the word in lower case with `_` for `-`: (what it is there, what to use here)."""

_ENGINE = (
    "`{word}` is an argument of the engine's.",
    "Those come after `--`, as far as the rules allow them: `{prefix} plan -- {word}`.",
)
FLAGS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "--allow-destroy": (
            "prbot does not destroy what a removed directory left behind yet.",
            f"Bring the directory back. {_DESTROY} Once nothing is left, remove the directory.",
        ),
        "--auto-merge-disabled": ("prbot does not merge, so that there is nothing to disable.", "Leave it out."),
        "--auto-merge-method": ("prbot does not merge.", "Leave it out, and choose how when you merge at the forge."),
        "--clear-policy-approval": WORDS["approve_policies"],
        "--policy-set": WORDS["approve_policies"],
        **{
            dashes + name: _ENGINE
            for name in ("target", "replace", "destroy", "refresh", "refresh-only", "var", "var-file", "parallelism",
                         "lock", "lock-timeout", "state", "out")
            for dashes in ("-", "--")
        },
    }
)  # fmt: skip
"""By the flag as it is typed there: (what it is, what to use here)."""


def of_words(words: Sequence[str], prefix: str, known: Collection[str]) -> tuple[str, str] | None:
    """What the first two words of a command mean together elsewhere, unless they are `known` here: a problem and a
    hint."""
    return _found(" ".join(words[:2]), prefix, known) if len(words) > 1 else None


def of_word(words: Sequence[str], prefix: str, known: Collection[str]) -> tuple[str, str] | None:
    """What the first word of a command means elsewhere, unless it is `known` here: a problem and a hint."""
    return _found(words[0], prefix, known)


def _found(typed: str, prefix: str, known: Collection[str]) -> tuple[str, str] | None:
    shown = typed.strip(".,:;!?")
    word = re.sub("[- ]", "_", shown.casefold())
    return None if word.replace("_", " ") in known else _said(WORDS.get(word), shown, prefix)


def of_flag(word: str, prefix: str) -> tuple[str, str] | None:
    """What a flag, with its value, means elsewhere: a problem and a hint."""
    return _said(FLAGS.get(word.partition("=")[0]), word, prefix)


def _said(found: tuple[str, str] | None, word: str, prefix: str) -> tuple[str, str] | None:
    if found is None:
        return None
    problem, hint = (each.replace("{prefix}", prefix) for each in found)
    return problem.replace("`{word}`", marked(word)), _with_word(hint, word)


def _with_word(hint: str, word: str) -> str:
    """The hint, with the word as it is pasted into a line."""
    line = re.search("`([^`]*) {word}`", hint)
    if line is None:
        return hint
    return hint.replace(line[0], marked(f"{line[1]} {shlex.quote(word)}"))


def meant(typed: str, valid: Collection[str]) -> str:
    """The word that `typed` is a slip of; empty where none is near enough to be it.

    What only adds to a word may take its sense away (`unlock` and `lock`, `approve` and `disapprove`).
    """
    close = difflib.get_close_matches(typed.casefold(), valid, n=1, cutoff=0.7)
    if not close:
        return ""
    longer, shorter = sorted((typed.casefold(), close[0]), key=len, reverse=True)
    return "" if longer.find(shorter) > 1 else close[0]
