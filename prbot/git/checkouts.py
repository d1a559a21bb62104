"""Working trees: made for one owner, gone afterwards, and swept up when their owner died."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from prbot.disk import remove
from prbot.git.places import Places
from prbot.git.process import GitProgram
from prbot.ports import Unavailable


@dataclass(frozen=True, slots=True)
class Checkouts:
    """Worktrees of the mirrors. No hook runs, and no filter does: git knows no configuration that defines one."""

    places: Places
    program: GitProgram

    @contextmanager
    def checkout(self, mirror: Path, commit: str, owner: str) -> Iterator[Path]:
        path = self.places.checkout(owner)
        path.parent.mkdir(parents=True, exist_ok=True)
        remove(path)
        try:
            with self.places.locked(mirror, "checkouts", self.program.timeout):
                add = ["worktree", "add", "--quiet", "--force", "--detach", str(path), commit]
                self.program.run(add, mirror)
            yield path
        finally:
            remove(path)
            self._forget_removed(mirror)

    def sweep(self, alive: Collection[str]) -> None:
        """Remove the checkouts of owners that are not `alive`."""
        if self.places.checkouts.is_dir():
            for path in self.places.checkouts.iterdir():
                if path.name not in alive:
                    remove(path)
        for mirror in self.places.mirrors():
            self._forget_removed(mirror)

    def _forget_removed(self, mirror: Path) -> None:
        """Drop git's notes of worktrees that are gone. Leaving them costs a few bytes until the next time."""
        try:
            with self.places.locked(mirror, "checkouts", self.program.timeout):
                self.program.run(["worktree", "prune", "--expire=now"], mirror)
        except Unavailable:
            return
