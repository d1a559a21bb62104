"""What a repository holds that says what infrastructure there is and that prbot cannot read yet: Terragrunt's files,
Terraform Stacks', and those that declare projects.

Nothing of it passes in silence. By the rule `unread`, a change that may be of its concern is refused, or told and let
pass; either way nothing is planned that it has a hand in, as if it had not.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from prbot.core.declarations import DECLARATIONS, Declared, declared
from prbot.core.ids import ProjectKey
from prbot.core.modules import RepoView, is_terraform_file
from prbot.core.projects import Project, Selection, reads
from prbot.core.refusals import Refusal
from prbot.core.rules import Unread
from prbot.core.trees import LOCK_FILE, ancestry, is_prose, parent

_TERRAGRUNT, _STACKS = "Terragrunt's", "Terraform Stacks'"
_STACK_FILES = tuple(
    f".{kind}.{syntax}" for kind in ("tfcomponent", "tfdeploy", "tfstack") for syntax in ("hcl", "json")
)
_TOFU_FILES = (".tofu", ".tofu.json")
_OTHERS_HCL = (LOCK_FILE, ".pkr.hcl", ".tftest.hcl", ".tfmock.hcl", ".tfquery.hcl", ".tflint.hcl")
"""HCL that is neither Terragrunt's nor ever planned."""
_NOT_YET = "prbot does not read that yet, and plans nothing of it."
_NOTE_THEM = "have whoever runs prbot set `unread: note` for this repository in the rules"
_LEAVE_OUT = f"Leave it out of this pull request, or {_NOTE_THEM}: then it is told here and does not block."


def without_unread(
    selection: Selection, views: Sequence[RepoView], changed: Collection[str], rule: Unread
) -> Selection:
    """What a pull request touches, less what cannot be read. `views` are the base's and the merge result's."""
    before, after = views
    theirs = [*_Files(views).touched(selection, changed)]
    barred = {refusal.dir for refusal in theirs}
    projects = [each for each in selection.projects if each.key.dir not in barred]
    refusals = [each for each in selection.refusals if each.dir not in barred]
    notes = [refusal.reason for refusal in theirs] if rule == "note" else []
    refusals += theirs if rule == "refuse" else []
    if projects or refusals or selection.orphans or not all(map(_is_aside, changed)):
        declaring = [*_declaring(after, rule)]
        elsewhere = {each.key: f"{why.reason} {why.fix}" for each in projects for why in _elsewhere(after, each)}
        projects = [each for each in projects if each.key not in elsewhere and not declaring]
        refusals += declaring
        notes += [] if declaring else [*_not_done(after), *elsewhere.values()]
        notes += _removed(before, after)
    return replace(
        selection,
        projects=tuple(projects),
        refusals=tuple(sorted(refusals, key=lambda each: each.dir)),
        notes=(*selection.notes, *notes),
    )


def unread(
    view: RepoView, projects: Collection[Project], rule: Unread, *, workspace_named: bool
) -> dict[ProjectKey, Refusal]:
    """Which of the projects may not be planned because of what cannot be read, and why. `workspace_named`: somebody
    said which workspace is meant."""
    files, declaring = _Files((view,)), [*_declaring(view, rule)]
    found: dict[ProjectKey, Refusal] = {}
    for project in projects:
        reasons = [*declaring, *files.of(project.key.dir)]
        reasons += [] if workspace_named else [*_elsewhere(view, project)]
        if reasons:
            found[project.key] = reasons[0]
    return found


# -- Terragrunt and Stacks --------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class _Unit:
    """A directory with such a file: which one, and whose."""

    file: str
    whose: str


class _Files:
    """Terragrunt's and Stacks' files of one commit, or of two."""

    def __init__(self, views: Sequence[RepoView]) -> None:
        self._views = views
        self._roots = {root for view in views for root in view.roots}
        self._units: dict[str, _Unit] = {}
        for view in views:
            for path in view.tree:
                whose = _whose(path)
                if whose:
                    self._units.setdefault(parent(path), _Unit(path.rpartition("/")[2], whose))
        self._terragrunt = any(unit.whose == _TERRAGRUNT for unit in self._units.values())

    def of(self, directory: str) -> Iterator[Refusal]:
        """Why a directory is not planned, where such a file lies in it."""
        unit = self._units.get(directory)
        if unit is not None:
            yield _holds(directory, unit)

    def touched(self, selection: Selection, changed: Collection[str]) -> Iterator[Refusal]:
        """A refusal for each directory of theirs that the changes may be of concern to."""
        takes = [reads(project) for project in selection.projects if project.key.dir not in self._units]
        found: dict[str, Refusal] = {}
        for project in selection.projects:
            found |= {refusal.dir: refusal for refusal in self.of(project.key.dir)}
        for path in sorted(changed):
            refusal = None if is_prose(path) else self._about(path)
            if refusal is None or refusal.dir in found:
                continue
            if _whose(path) or not any(test(path) for test in takes):
                found[refusal.dir] = refusal
        yield from found.values()

    def _about(self, path: str) -> Refusal | None:
        directory, name = parent(path), path.rpartition("/")[2]
        whose = _whose(path)
        if not whose and self._terragrunt and name.endswith(".hcl") and not name.endswith(_OTHERS_HCL):
            whose = _TERRAGRUNT
        if whose:
            return _holds(directory, _Unit(name, whose), now=path in self._views[-1].tree)
        if name.endswith(_TOFU_FILES) and self._is_for_tofu_alone(path):
            reason = f"`{directory}` holds `{name}`, which OpenTofu alone reads; this server runs Terraform, and plans "
            return Refusal(directory, f"{reason}nothing of it.", _LEAVE_OUT)
        if not self._units:
            return None
        above = next((each for each in ancestry(directory) if each in self._units or each in self._roots), None)
        if above in self._units:
            unit = self._units[str(above)]
            reason = f"`{path}` changed, in `{above}`, which holds `{unit.file}`, which is {unit.whose}; {_NOT_YET}"
            return Refusal(str(above), reason, _LEAVE_OUT)
        if is_terraform_file(path, "opentofu") and directory not in self._roots:
            reason = (
                f"`{directory}` changed, which no root module calls and Terragrunt's or Stacks' files may; prbot does "
                "not read those yet, and plans nothing of it."
            )
            return Refusal(directory, reason, _LEAVE_OUT)
        return None

    def _is_for_tofu_alone(self, path: str) -> bool:
        """Whether the file is passed over here, and none stands in for it (`main.tf` for `main.tofu`)."""
        twin = path.replace(".tofu", ".tf")
        return all(view.product == "terraform" and twin not in view.tree for view in self._views)


def _whose(path: str) -> str:
    name = path.rpartition("/")[2]
    if name.startswith("terragrunt.") and name.endswith((".hcl", ".hcl.json")):
        return _TERRAGRUNT
    return _STACKS if name.endswith(_STACK_FILES) else ""


def _holds(directory: str, unit: _Unit, *, now: bool = True) -> Refusal:
    holds = "holds" if now else "held"
    return Refusal(directory, f"`{directory}` {holds} `{unit.file}`, which is {unit.whose}; {_NOT_YET}", _LEAVE_OUT)


# -- declarations -----------------------------------------------------------------------------------------------------
def _is_aside(path: str) -> bool:
    """Whether no declaration would have this planned: words for people, or hidden."""
    return is_prose(path) or any(part.startswith(".") for part in path.split("/")[:-1])


def _read(view: RepoView) -> Iterator[tuple[str, Declared]]:
    return ((name, declared(view.declarations[name])) for name in DECLARATIONS if name in view.declarations)


def _declaring(view: RepoView, rule: Unread) -> Iterator[Refusal]:
    """A refusal for each such file, if nothing may be planned because of it."""
    for name, found in _read(view):
        if rule == "refuse":
            yield Refusal(
                name,
                f"`{name}` says which projects and workspaces there are; prbot does not read it yet, and plans nothing "
                "in this repository.",
                f"Remove the file, or {_NOTE_THEM}: then the root modules are planned that prbot finds, but for those "
                "that the file names for other workspaces than `default` only.",
            )
        elif found.problem:
            yield Refusal(name, f"`{name}` cannot be read: {found.problem}.", "Correct it, or remove it.")


def _not_done(view: RepoView) -> Iterator[str]:
    for name, _ in _read(view):
        yield f"`{name}` is not read yet: what it says of workspaces, workflows and more is not done."


def _elsewhere(view: RepoView, project: Project) -> Iterator[Refusal]:
    """Why a project is not planned in the default workspace, where a file names it for others only."""
    for name, found in _read(view):
        spaces = found.elsewhere(project.key.dir) if project.key.workspace == "default" else ()
        if spaces:
            yield Refusal(
                project.key.dir,
                f"`{project.key.dir}` is not planned in `default`: `{name}` names it for {_spaces(spaces)} only.",
                "A command with `-w` plans it in one of them.",
            )


def _removed(before: RepoView, after: RepoView) -> Iterator[str]:
    for name, found in _read(before):
        if name in after.declarations:
            continue
        others = {each: spaces for each, spaces in found.workspaces.items() if "default" not in spaces}
        if others:
            named = _and([f"`{directory}` for {_spaces(spaces)} only" for directory, spaces in sorted(others.items())])
            yield (
                f"This pull request removes `{name}`, which names {named}. From then on, changes to "
                f"{'it' if len(others) == 1 else 'them'} are planned in `default` as well."
            )
        else:
            yield f"This pull request removes `{name}`, which prbot did not go by."


def _spaces(spaces: Collection[str]) -> str:
    return f"the workspace{'s' * (len(spaces) > 1)} {_and([f'`{each}`' for each in sorted(spaces)])}"


def _and(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
