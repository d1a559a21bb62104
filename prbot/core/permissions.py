"""Who may give which command. What an approval is worth is a question of its own; see prbot.core.approvals."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, field_validator

from prbot.core.pulls import Role, at_least

FREES_ANY_LOCK: Role = "maintain"
"""May unlock projects that somebody else's pull request holds, and discard merged changes that were not applied."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What a command asks of who gives it: the least role, and in words what is asked besides."""

    role: Role
    besides: str = ""


NEEDS: Mapping[str, Needs] = MappingProxyType(
    {
        "plan": Needs("write"),
        "apply": Needs("write"),
        "approve": Needs("write", "but nobody who opened the pull request, wrote a commit of it or pushed last"),
        "cancel": Needs("write"),
        "unlock": Needs(
            "write",
            "for the locks of one's own open pull request; "
            f"{FREES_ANY_LOCK} access for another's, and for what is merged and not applied",
        ),
        "forget": Needs("maintain"),
        "help": Needs("read"),
        "version": Needs("read"),
    }
)
"""Who may give which command: what is checked, and what the help says. Everybody has `read` on a public repository."""

_LOGIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}(\[bot\])?")


def _login(text: str) -> str:
    if not _LOGIN.fullmatch(text):
        raise ValueError("expected a login, without @; teams cannot be named, list their members")
    return text


Login = Annotated[str, AfterValidator(_login)]


class WhoMay(BaseModel):
    """Who may give one command, as the rules narrow it: what is said must all hold, beside NEEDS."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Literal["write", "maintain", "admin"] = "write"
    """The least role; never less than NEEDS, so that the rules widen nothing."""
    users: tuple[Login, ...] | None = None
    """Logins, whatever their case; None is everybody."""

    @field_validator("users")
    @classmethod
    def _somebody(cls, users: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if users == ():
            raise ValueError("nobody at all is listed; name somebody, or leave it out")
        return users

    def lists(self, user: str) -> bool:
        """Whether a user is among those who are listed, or nobody is."""
        return self.users is None or user.casefold() in {each.casefold() for each in self.users}

    def admits(self, user: str, role: Role) -> bool:
        return at_least(role, self.role) and self.lists(user)

    def __str__(self) -> str:
        """Who it is, for people: `somebody with maintain access`, `bo or cy`, `bo or cy (with maintain access)`."""
        if self.users is None:
            return f"somebody with {self.role} access"
        names = " or ".join([", ".join(self.users[:-1]), self.users[-1]] if len(self.users) > 1 else self.users)
        return names if self.role == "write" else f"{names} (with {self.role} access)"


class Who(BaseModel):
    """Who may give the commands that plan, apply, approve and free. For the others NEEDS alone counts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    plan: WhoMay = WhoMay()
    apply: WhoMay = WhoMay()
    approve: WhoMay = WhoMay()
    """Of reviews and explicit approvals alike; a request for changes needs no more than write access."""
    cancel: WhoMay = WhoMay()
    unlock: WhoMay = WhoMay()


@dataclass(frozen=True, slots=True)
class Allowed:
    """Go ahead."""


@dataclass(frozen=True, slots=True)
class Refused:
    """No; `reason` tells the person who asked, in a sentence or two, what is missing and who has it."""

    reason: str


def may(command: str, role: Role, *, is_holder_author: bool = False, discards: bool = False) -> Allowed | Refused:
    """Whether somebody with `role` may give `command` (one of NEEDS; any other is a KeyError).

    For `unlock` alone: `is_holder_author` says that they wrote the pull request that holds the project, `discards`
    that this pull request is merged and not applied, so that its change would be given up.
    """
    least = NEEDS[command].role
    if not at_least(role, least):
        return Refused(
            f"`{command}` needs {least} access to this repository, and you have {_have(role)}. "
            f"Ask somebody with {least} access."
        )
    if command != "unlock" or at_least(role, FREES_ANY_LOCK) or (is_holder_author and not discards):
        return Allowed()
    if discards:
        return Refused(
            f"This change is merged and not applied, so that `unlock` would discard it: that needs {FREES_ANY_LOCK} "
            f"access, and you have {_have(role)}. Ask somebody with {FREES_ANY_LOCK} access."
        )
    return Refused(
        f"This is another author's pull request: `unlock` needs {FREES_ANY_LOCK} access then, and you have "
        f"{_have(role)}. Ask that author, or somebody with {FREES_ANY_LOCK} access."
    )


def narrowed(command: str, user: str, role: Role, who: Who) -> Allowed | Refused:
    """Whether the rules let `user`, who has `role`, give `command` (any of NEEDS). Asked beside `may`."""
    wanted: WhoMay | None = getattr(who, command, None)
    if wanted is None or wanted.admits(user, role):
        return Allowed()
    had = "you are not among them" if not wanted.lists(user) else f"you have {_have(role)}"
    return Refused(f"The rules keep `{command}` for {wanted} here, and {had}. Ask {wanted}.")


def who_may(command: str, who: Who) -> str:
    """Who may give a command (one of NEEDS) where the rules say `who`, for people."""
    needs, narrower = NEEDS[command], getattr(who, command, None)
    least = f"{needs.role} access"
    if narrower is not None and narrower != WhoMay():
        least = f"{narrower}".removeprefix("somebody with ")
    return f"{least}, {needs.besides}" if needs.besides.startswith("but") else f"{least} {needs.besides}".strip()


def _have(role: Role) -> str:
    return "none" if role == "none" else f"{role} access"
