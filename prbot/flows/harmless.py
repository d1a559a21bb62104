"""Which variables are no secret, by their names: masking their values would make output unreadable."""

from __future__ import annotations

import re

HARMLESS = re.compile(
    r"(^|_)(REGION|PATH|LANG|LC_\w+|TZ|PROXY|LOG|LOG_LEVEL|PROFILE|PARALLELISM|BUNDLE)$", re.IGNORECASE
)
