"""Terraform states and their locks, as the stand-in's state server keeps them."""

from __future__ import annotations

import json
import threading
from typing import Any


class StateBackend:
    """States and locks by key, e.g. `acme/infra/net`."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self.states: dict[str, bytes] = {}
        self.locks: dict[str, dict[str, Any]] = {}

    def lock(self, key: str, info: dict[str, Any]) -> dict[str, Any] | None:
        """Take the lock; None when it was free or already ours, else who has it."""
        with self._guard:
            holder = self.locks.setdefault(key, info)
            return None if holder.get("ID") == info.get("ID") else holder

    def unlock(self, key: str, lock_id: str | None) -> dict[str, Any] | None:
        """Free the lock; without an id whoever has it (`force-unlock`). None when free now, else who has it."""
        with self._guard:
            holder = self.locks.get(key)
            if holder is not None and lock_id is not None and holder.get("ID") != lock_id:
                return holder
            self.locks.pop(key, None)
            return None

    def write(self, key: str, data: bytes, lock_id: str | None) -> dict[str, Any] | None:
        """Keep a state; None when written, else who has the lock."""
        with self._guard:
            holder = self.locks.get(key)
            if holder is not None and holder.get("ID") != lock_id:
                return holder
            self.states[key] = data
            return None

    def read(self, key: str) -> dict[str, Any] | None:
        """A state as Terraform wrote it, or None."""
        data = self.states.get(key)
        return None if data is None else json.loads(data)
