"""Checkouts: made for one owner, gone afterwards, and swept up when their owner died."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from prbot.disk import remove
from prbot.git.places import Places
from prbot.git.process import GitProgram


@dataclass(frozen=True, slots=True)
class Checkouts:
    """Repositories of their own that borrow a mirror's objects, so that the mirror knows nothing of them: a fetch
    follows what each worktree that git keeps a note of stands at, and fails at one that is just being made, or whose
    making was killed.

    No hook runs, and no filter does: git knows no configuration that defines one.
    """

    places: Places
    program: GitProgram

    @contextmanager
    def checkout(self, mirror: Path, commit: str, owner: str) -> Iterator[Path]:
        path = self.places.checkout(owner)
        path.parent.mkdir(parents=True, exist_ok=True)
        remove(path)
        try:
            self.program.run(["init", "--quiet", "--template=", "--initial-branch=prbot", str(path)])
            borrowed = path / ".git/objects/info"
            borrowed.mkdir(exist_ok=True)
            (borrowed / "alternates").write_text(f"{mirror}/objects\n")
            self.program.run(
                [f"--work-tree={path}", "checkout", "--quiet", "--force", "--detach", commit], path / ".git"
            )
            yield path
        finally:
            remove(path)

    def sweep(self, alive: Collection[str]) -> None:
        """Remove the checkouts of owners that are not `alive`, and what earlier versions noted of theirs in mirrors."""
        if self.places.checkouts.is_dir():
            for path in self.places.checkouts.iterdir():
                if path.name not in alive:
                    remove(path)
        for mirror in self.places.mirrors():
            remove(mirror / "worktrees")
