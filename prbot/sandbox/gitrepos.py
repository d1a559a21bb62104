"""Bare repositories, written and read with git's plumbing: few processes, no working tree, nobody's configuration."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

Files = Mapping[str, str | bytes | None]
"""Path to new content; None removes the file. What begins with `#!` is executable unless it is a `PlainFile`, and a
`SymbolicLink` is one."""


class SymbolicLink(str):
    """The content of a path that is a symbolic link: where it leads to."""


class PlainFile(str):
    """The content of a file that is not executable, whatever it begins with."""


class Submodule(str):
    """What stands for a submodule: the commit of another repository."""


NO_COMMIT = "0" * 40
EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
_CONFIG = """[core]
\trepositoryformatversion = 0
\tfilemode = true
\tbare = true
[uploadpack]
\tallowAnySHA1InWant = true
\tallowFilter = true
[http]
\treceivepack = true
[receive]
\tadvertiseAtomic = true
[gc]
\tauto = 0
"""
_LOG_FORMAT = "%H%x00%T%x00%P%x00%an%x00%ae%x00%at%x00%cn%x00%ce%x00%ct%x00%B%x1e"


class GitFailed(Exception):
    """A git command that was expected to succeed did not."""


def git_environment() -> dict[str, str]:
    """The environment of every git process: the search path, and no configuration but the repository's own."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": "/nonexistent",
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
    }


@dataclass(frozen=True, slots=True)
class Signature:
    """Who did something, and when."""

    name: str
    email: str
    at: datetime

    def line(self) -> str:
        """As git writes it in a commit."""
        return f"{self.name} <{self.email}> {int(self.at.timestamp())} +0000"


@dataclass(frozen=True, slots=True)
class CommitInfo:
    """A commit as git tells it."""

    sha: str
    tree: str
    parents: tuple[str, ...]
    author: Signature
    committer: Signature
    message: str


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file of a diff. `status` is GitHub's word; binary files count no lines."""

    path: str
    previous: str | None
    blob: str
    status: str
    additions: int
    deletions: int


@dataclass(frozen=True, slots=True)
class NewCommit:
    """What a commit is made of, apart from its tree."""

    message: str
    author: Signature
    committer: Signature


_STATUS = {"A": "added", "D": "removed", "M": "modified", "R": "renamed", "C": "copied", "T": "changed"}


class BareRepo:
    """One bare repository. Names of refs are full; `GitFailed` is raised where git refuses."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: dict[tuple[str, ...], str] = {}
        self._merged: dict[tuple[str, str], str | None] = {}

    @classmethod
    def create(cls, path: Path, default_branch: str, shared_with: BareRepo | None = None) -> BareRepo:
        """A new, empty repository. A fork shares the object store of its parent, as in GitHub's networks."""
        (path / "refs" / "heads").mkdir(parents=True)
        if shared_with is None:
            (path / "objects" / "pack").mkdir(parents=True)
        else:
            (path / "objects").symlink_to((shared_with.path / "objects").resolve())
        (path / "config").write_text(_CONFIG)
        (path / "HEAD").write_text(f"ref: refs/heads/{default_branch}\n")
        return cls(path)

    # -- refs ---------------------------------------------------------------------------------------------------------
    def resolve(self, name: str) -> str | None:
        """The commit that a ref or an id names, or None."""
        done = self._run("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}", allowed=(0, 1, 128))
        return done.stdout.decode().strip() or None

    def set_ref(self, ref: str, sha: str) -> None:
        """Let `ref` point to `sha`, wherever it pointed before."""
        self._git("update-ref", ref, sha)

    def delete_ref(self, ref: str) -> None:
        """Remove `ref`."""
        self._git("update-ref", "-d", ref)

    def refs(self, prefix: str) -> dict[str, str]:
        """All refs below `prefix` with the commits that they point to."""
        lines = self._git("for-each-ref", "--format=%(refname) %(objectname)", prefix).splitlines()
        return dict(line.split(" ", 1) for line in lines)

    # -- writing ------------------------------------------------------------------------------------------------------
    def commit(self, ref: str, files: Files, new: NewCommit, parent: str | None) -> str:
        """Commit `files` on top of `parent` and let `ref` point to the result, in one process."""
        stream = [f"commit {ref}\nmark :1\nauthor {new.author.line()}\ncommitter {new.committer.line()}\n".encode()]
        stream.append(_data(new.message.encode()))
        if parent is not None:
            stream.append(f"from {parent}\n".encode())
        for path, content in files.items():
            if content is None:
                stream.append(f"D {path}\n".encode())
            elif isinstance(content, Submodule):
                stream.append(f"M 160000 {content} {path}\n".encode())
            else:
                data = content.encode() if isinstance(content, str) else content
                stream += [f"M {_mode(content)} inline {path}\n".encode(), _data(data)]
        stream.append(b"\nget-mark :1\ndone\n")
        return self._git("fast-import", "--quiet", "--force", "--done", stdin=b"".join(stream)).strip()

    def commit_tree(self, tree: str, parents: Sequence[str], new: NewCommit) -> str:
        """A commit of `tree`; no ref points to it yet."""
        named = [argument for parent in parents for argument in ("-p", parent)]
        dates = {
            f"GIT_{role}_{what}": value
            for role, who in (("AUTHOR", new.author), ("COMMITTER", new.committer))
            for what, value in (
                ("NAME", who.name),
                ("EMAIL", who.email),
                ("DATE", f"{int(who.at.timestamp())} +0000"),
            )
        }
        return self._git("commit-tree", tree, *named, stdin=new.message.encode(), environment=dates).strip()

    def merged_tree(self, base: str, head: str) -> str | None:
        """The tree of merging the commit `head` into the commit `base`, or None on a conflict."""
        if (base, head) not in self._merged:
            done = self._run("merge-tree", "--write-tree", "--no-messages", base, head, allowed=(0, 1))
            tree = done.stdout.decode().partition("\n")[0]
            self._merged[base, head] = tree if done.returncode == 0 else None
        return self._merged[base, head]

    def rebased(self, base: str, head: str, committer: Signature) -> str | None:
        """The tip of `head`'s commits since `base` copied onto `base`, without merges, or None on a conflict."""
        tip = base
        for original in self.log(base, head):
            if len(original.parents) > 1:
                continue
            new = NewCommit(original.message, original.author, committer)
            # A commit with the tip's tree and the original's parent: merging it with the original is a cherry-pick.
            picked_onto = self.commit_tree(self.info(tip).tree, original.parents, new)
            tree = self.merged_tree(picked_onto, original.sha)
            if tree is None:
                return None
            tip = self.commit_tree(tree, [tip], new)
        return tip

    # -- reading ------------------------------------------------------------------------------------------------------
    def info(self, sha: str) -> CommitInfo:
        """One commit, by its id."""
        return _parse_commits(self._known_for("log", "-1", f"--format={_LOG_FORMAT}", sha))[0]

    def log(self, since: str, until: str) -> list[CommitInfo]:
        """The commits of the commit `until` that the commit `since` does not hold, oldest first."""
        text = self._known_for("log", "--reverse", "--topo-order", f"--format={_LOG_FORMAT}", f"{since}..{until}")
        return _parse_commits(text)

    def merge_base(self, one: str, other: str) -> str:
        """The best common ancestor of two commits; `GitFailed` where they have none."""
        return self._known_for("merge-base", one, other).strip()

    def is_ancestor(self, ancestor: str, commit: str) -> bool:
        """Whether `commit` holds `ancestor`."""
        return self._run("merge-base", "--is-ancestor", ancestor, commit, allowed=(0, 1)).returncode == 0

    def changes(self, old: str, new: str) -> list[FileChange]:
        """The files that differ between two commits."""
        text = self._known_for("diff", "--raw", "--numstat", "-z", "-M", "--abbrev=40", old, new)
        return _parse_diff(text.split("\0"))

    def diff(self, old: str, new: str) -> str:
        """The difference between two commits as a patch."""
        return self._git("diff", "-M", old, new)

    def files(self, commit: str) -> list[str]:
        """The paths of all files of a commit."""
        return self._git("ls-tree", "-r", "-z", "--name-only", commit).split("\0")[:-1]

    def read(self, commit: str, path: str) -> str | None:
        """The text of a file, or None where there is none."""
        done = self._run("cat-file", "blob", f"{commit}:{path}", allowed=(0, 128))
        return done.stdout.decode(errors="replace") if done.returncode == 0 else None

    # -- processes ----------------------------------------------------------------------------------------------------
    def _known_for(self, *arguments: str) -> str:
        """What git says about commits by their ids: it says the same for ever, so it is asked once."""
        if arguments not in self._known:
            self._known[arguments] = self._git(*arguments)
        return self._known[arguments]

    def _git(self, *arguments: str, stdin: bytes = b"", environment: Mapping[str, str] | None = None) -> str:
        return self._run(*arguments, stdin=stdin, environment=environment).stdout.decode(errors="replace")

    def _run(
        self,
        *arguments: str,
        stdin: bytes = b"",
        environment: Mapping[str, str] | None = None,
        allowed: tuple[int, ...] = (0,),
    ) -> subprocess.CompletedProcess[bytes]:
        done = subprocess.run(
            ["git", "--git-dir", str(self.path), *arguments],
            input=stdin,
            capture_output=True,
            env={**git_environment(), **(environment or {})},
            timeout=60,
            check=False,
        )
        if done.returncode not in allowed:
            raise GitFailed(f"git {arguments[0]} in {self.path.name}: {done.stderr.decode(errors='replace').strip()}")
        return done


def _mode(content: str | bytes) -> str:
    if isinstance(content, SymbolicLink):
        return "120000"
    begins = content[:2]
    return "100755" if begins in ("#!", b"#!") and not isinstance(content, PlainFile) else "100644"


def _data(content: bytes) -> bytes:
    return f"data {len(content)}\n".encode() + content + b"\n"


def _parse_commits(text: str) -> list[CommitInfo]:
    commits = []
    for record in text.split("\x1e"):
        if not record.strip():
            continue
        sha, tree, parents, *people, message = record.lstrip("\n").split("\0", 9)
        author, committer = (
            Signature(name, email, datetime.fromtimestamp(int(at), UTC)) for name, email, at in (people[:3], people[3:])
        )
        commits.append(CommitInfo(sha, tree, tuple(parents.split()), author, committer, message.rstrip("\n")))
    return commits


def _parse_diff(fields: list[str]) -> list[FileChange]:
    """Read `git diff --raw --numstat -z`: first one record for each file's ids, then one for each file's lines."""
    raw: dict[str, tuple[str, str, str | None]] = {}
    changes = []
    rest = iter(fields)
    for head in rest:
        if head.startswith(":"):
            *_, new_blob, letter = head.split(" ")
            old_blob = head.split(" ")[2]
            first = next(rest)
            path, previous = (next(rest), first) if letter[0] in "RC" else (first, None)
            raw[path] = (old_blob if letter == "D" else new_blob, letter[0], previous)
        elif head:
            additions, deletions, path = head.split("\t", 2)
            if not path:
                next(rest)
                path = next(rest)
            blob, letter, previous = raw[path]
            counts = [0 if count == "-" else int(count) for count in (additions, deletions)]
            changes.append(FileChange(path, previous, blob, _STATUS[letter], counts[0], counts[1]))
    return changes
