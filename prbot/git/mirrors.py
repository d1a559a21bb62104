"""One bare mirror a repository, on local disk: a cache that any process may lose and make again."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from prbot.core.ids import Repo
from prbot.core.trees import SUBMODULE, Tree, TreeEntry
from prbot.git.checkouts import Checkouts
from prbot.git.failures import Damaged
from prbot.git.places import Places, checked_url, commit_id, slot_of_commit, slot_of_ref
from prbot.git.process import Finished, GitProgram, Login
from prbot.ports import MergeConflict, Merged, NotFound, Unavailable

_DAMAGED = "prbot-damaged"
"""A file in a mirror in which some process found damage: the next fetch makes the mirror anew."""


class GitMirrors:
    """`prbot.ports.Git` by the git command line, 2.39 or later.

    Safe for many threads and processes on one `root`. Everything a fetch asked for stays in the mirror; a merge result
    does too. `timeout` (seconds) bounds each git process, and each wait for another one. With `local`, `file://` clone
    URLs are allowed besides http(s). Servers are verified by the certificates in `ca_file` (PEM) where one is given.
    """

    def __init__(
        self,
        root: Path,
        *,
        timeout: float = 300.0,
        binary: str = "git",
        local: bool = False,
        ca_file: Path | None = None,
    ) -> None:
        protocols = ("http", "https", "file") if local else ("http", "https")
        self._program = GitProgram(binary, timeout, protocols, ca_file.absolute() if ca_file is not None else None)
        self._places = Places(root.absolute())
        self._checkouts = Checkouts(self._places, self._program)

    # -- getting ------------------------------------------------------------------------------------------------------
    def fetch(self, repo: Repo, *, shas: Sequence[str] = (), refs: Sequence[str] = (), token: str = "") -> None:
        """See prbot.ports.Git. One git process and its requests for everything that is asked for."""
        wanted = [commit_id(sha) for sha in dict.fromkeys(shas)]
        named = {ref: slot_of_ref(ref) for ref in refs}
        url = checked_url(repo.clone_url, self._program.protocols)
        mirror = self._places.mirror(repo)
        if not named and not self._missing(mirror, wanted):
            return
        with self._places.locked(mirror, self._program.timeout):
            self._make(mirror)
            try:
                self._bring(mirror, wanted, named, Login(url, token))
            except Damaged:
                self._make(mirror)
                self._bring(mirror, wanted, named, Login(url, token))

    def _bring(self, mirror: Path, wanted: list[str], named: Mapping[str, str], login: Login) -> None:
        specs = [f"+{sha}:{slot_of_commit(sha)}" for sha in self._missing(mirror, wanted)]
        specs += [f"+{ref}:{slot}" for ref, slot in named.items()]
        if specs:
            args = ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance"]
            args += ["--no-recurse-submodules", "--end-of-options", login.url, *specs]
            self._run(args, mirror, login=login)

    def _make(self, mirror: Path) -> None:
        """Make the mirror if there is none, or none that works. It appears whole or not at all."""
        if mirror.is_dir() and not (mirror / _DAMAGED).exists() and (mirror / "HEAD").exists():
            return
        fresh, old = mirror.with_suffix(".git.new"), mirror.with_suffix(".git.old")
        for leftover in (fresh, old):
            shutil.rmtree(leftover, ignore_errors=True)
        fresh.parent.mkdir(parents=True, exist_ok=True)
        self._program.run(["init", "--quiet", "--bare", "--template=", "--initial-branch=prbot", str(fresh)])
        if mirror.exists():
            mirror.rename(old)
        fresh.rename(mirror)
        shutil.rmtree(old, ignore_errors=True)

    def _missing(self, mirror: Path, shas: list[str]) -> list[str]:
        """Those of `shas` that the mirror lacks. Those that it has are kept from now on."""
        if not shas or not (mirror / "HEAD").exists() or (mirror / _DAMAGED).exists():
            return shas
        asked = "".join(f"{sha}^{{commit}}\n{slot_of_commit(sha)}\n" for sha in shas)
        try:
            lines = self._run(
                ["cat-file", "--batch-check=%(objecttype)"], mirror, stdin=asked.encode()
            ).text.splitlines()
        except Damaged:
            return shas
        there = dict(zip(shas, (not line.endswith("missing") for line in lines[::2]), strict=True))
        kept = dict(zip(shas, (not line.endswith("missing") for line in lines[1::2]), strict=True))
        self._keep(mirror, [sha for sha in shas if there[sha] and not kept[sha]])
        return [sha for sha in shas if not there[sha]]

    def _keep(self, mirror: Path, commits: Sequence[str]) -> None:
        if commits:
            updates = "".join(f"update {slot_of_commit(commit)} {commit}\n" for commit in commits)
            self._run(["update-ref", "--stdin"], mirror, stdin=updates.encode())

    # -- reading ------------------------------------------------------------------------------------------------------
    def resolve(self, repo: Repo, ref: str) -> str:
        """See prbot.ports.Git."""
        name = slot_of_ref(ref) if ref.startswith("refs/") else commit_id(ref)
        found = self._run(["rev-parse", "--verify", "--quiet", f"{name}^{{commit}}"], self._mirror(repo), expect=(0, 1))
        if found.exit_code or not found.text:
            raise NotFound(f"`{ref}` has not been fetched from {repo}")
        return found.text

    def tree(self, repo: Repo, commit: str) -> Tree:
        """See prbot.ports.Git. Paths that are not UTF-8 hold surrogates (`os.fsdecode`)."""
        listing = self._run(["ls-tree", "-r", "-z", "--full-tree", commit_id(commit)], self._mirror(repo)).out
        tree: dict[str, TreeEntry] = {}
        for line in _split(listing):
            about, _, path = line.partition("\t")
            mode, _, blob = about.split(" ")
            tree[path] = TreeEntry(mode, blob)
        return tree

    def tree_id(self, repo: Repo, commit: str) -> str:
        """See prbot.ports.Git."""
        return self._run(["rev-parse", "--verify", f"{commit_id(commit)}^{{tree}}"], self._mirror(repo)).text

    def author(self, repo: Repo, commit: str) -> str:
        """See prbot.ports.Git."""
        return self._run(["show", "--no-patch", "--format=%an", commit_id(commit)], self._mirror(repo)).text

    def blobs(self, repo: Repo, ids: Sequence[str], largest: int | None = None) -> dict[str, bytes]:
        """See prbot.ports.Git. NotFound names the first that is not there."""
        wanted = [commit_id(blob) for blob in dict.fromkeys(ids)]
        if wanted and largest is not None:
            asked = "".join(f"{blob}\n" for blob in wanted).encode()
            sizes = self._run(["cat-file", "--batch-check=%(objectsize)", "--buffer"], self._mirror(repo), stdin=asked)
            pairs = zip(wanted, sizes.text.splitlines(), strict=True)
            wanted = [blob for blob, size in pairs if not size.isdigit() or int(size) <= largest]
        if not wanted:
            return {}
        asked = "".join(f"{blob}\n" for blob in wanted).encode()
        out = self._run(["cat-file", "--batch", "--buffer"], self._mirror(repo), stdin=asked).out
        found: dict[str, bytes] = {}
        at = 0
        for blob in wanted:
            end = out.index(b"\n", at)
            about = out[at:end].split(b" ")
            if about[1] != b"blob":
                raise NotFound(f"{repo} has no file content {blob}")
            at = end + 1 + int(about[2])
            found[blob] = out[end + 1 : at]
            at += 1
        return found

    def filters(self, repo: Repo, tree: Tree, paths: Sequence[str]) -> dict[str, str]:
        """See prbot.ports.Git. Git reads the attributes itself, from an index that holds nothing else."""
        entries = [
            f"{entry.mode} {entry.blob}\t{path}"
            for path, entry in tree.items()
            if path.rpartition("/")[2] == ".gitattributes" and entry.mode != SUBMODULE
        ]
        if not entries or not paths:
            return {}
        mirror = self._mirror(repo)
        with tempfile.TemporaryDirectory(prefix="prbot-attributes-") as directory:
            index = Path(directory, "index")
            listed = _join(entries)
            self._program.run(["update-index", "-z", "--index-info"], mirror, stdin=listed, index=index)
            asked = ["check-attr", "--cached", "--stdin", "-z", "filter"]
            told = _split(self._program.run(asked, mirror, stdin=_join(paths), index=index).out)
        found = zip(told[::3], told[2::3], strict=True)
        return {path: value for path, value in found if value not in ("unspecified", "unset")}

    def changed_paths(self, repo: Repo, old: str, new: str) -> frozenset[str]:
        """See prbot.ports.Git."""
        args = ["diff-tree", "-r", "-z", "--no-renames", "--name-only", commit_id(old), commit_id(new)]
        return frozenset(_split(self._run(args, self._mirror(repo)).out))

    # -- history ------------------------------------------------------------------------------------------------------
    def merge(self, repo: Repo, base: str, head: str) -> Merged | MergeConflict:
        """See prbot.ports.Git. Conflict when the two share no history."""
        mirror = self._mirror(repo)
        args = ["merge-tree", "--write-tree", "--no-messages", "--name-only", "-z", commit_id(base), commit_id(head)]
        merged = self._run(args, mirror, expect=(0, 1))
        if not merged.out:  # git says it with the exit code of a conflict
            raise NotFound(f"{repo} lacks one of {base} and {head}")
        tree, *files = _split(merged.out)
        if merged.exit_code:
            return MergeConflict(tuple(sorted(set(files))))
        message = f"Merge {head} into {base}\n".encode()
        commit = self._run(["commit-tree", tree, "-p", base, "-p", head], mirror, stdin=message).text
        self._keep(mirror, [commit])
        return Merged(commit, tree)

    def merge_base(self, repo: Repo, one: str, other: str) -> str | None:
        """See prbot.ports.Git."""
        found = self._run(["merge-base", commit_id(one), commit_id(other)], self._mirror(repo), expect=(0, 1))
        return found.text or None

    def is_ancestor(self, repo: Repo, ancestor: str, commit: str) -> bool:
        """See prbot.ports.Git."""
        args = ["merge-base", "--is-ancestor", commit_id(ancestor), commit_id(commit)]
        return self._run(args, self._mirror(repo), expect=(0, 1)).exit_code == 0

    def first_parent_position(self, repo: Repo, commit: str) -> int:
        """See prbot.ports.Git."""
        return int(self._run(["rev-list", "--first-parent", "--count", commit_id(commit)], self._mirror(repo)).text)

    def first_parents(self, repo: Repo, since: str | None, until: str) -> list[str]:
        """See prbot.ports.Git."""
        args = ["rev-list", "--first-parent", "--reverse", commit_id(until)]
        args += [f"^{commit_id(since)}"] if since else []
        return self._run(args, self._mirror(repo)).text.split()

    # -- on disk ------------------------------------------------------------------------------------------------------
    def checkout(self, repo: Repo, commit: str, *, owner: str) -> AbstractContextManager[Path]:
        """See prbot.ports.Git. What an earlier, dead process left for the same owner is replaced.

        `owner` is letters, digits, `_`, `.` and `-`. Submodules are empty directories, LFS files their pointers.
        """
        return self._checkouts.checkout(self._mirror(repo), commit_id(commit), owner)

    def prune(self, alive: Collection[str]) -> None:
        """Remove the checkouts of owners that are not `alive`, and pack mirrors that need it. To be called at start
        and now and then; a mirror that is in use is left for the next time."""
        self._checkouts.sweep(alive)
        for mirror in self._places.mirrors():
            try:
                with self._places.locked(mirror, timeout=0):
                    self._program.run(["gc", "--auto", "--quiet"], mirror)
            except Unavailable:
                continue

    def _mirror(self, repo: Repo) -> Path:
        mirror = self._places.mirror(repo)
        if not mirror.is_dir():
            raise NotFound(f"nothing has been fetched from {repo}")
        return mirror

    def _run(
        self,
        args: Sequence[str],
        mirror: Path,
        *,
        stdin: bytes = b"",
        login: Login | None = None,
        expect: tuple[int, ...] = (0,),
    ) -> Finished:
        try:
            return self._program.run(args, mirror, stdin=stdin, login=login, expect=expect)
        except Damaged:
            if mirror.is_dir():
                (mirror / _DAMAGED).touch()
            raise


def _join(parts: Sequence[str]) -> bytes:
    return b"".join(os.fsencode(part) + b"\0" for part in parts)


def _split(listing: bytes) -> list[str]:
    """The parts of what git ends with NUL each."""
    return [part.decode("utf-8", "surrogateescape") for part in listing.split(b"\0") if part]
