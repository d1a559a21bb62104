"""GitHub's JSON: each function turns one thing that the stand-in remembers into the object that GitHub answers.

The shapes are those of GitHub's published OpenAPI description; a test holds every reply against it.
"""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]
