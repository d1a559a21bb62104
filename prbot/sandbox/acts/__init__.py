"""What people and prbot do: each act changes the state, moves refs, and sends the webhooks that GitHub would send.

Acts check no permissions: whoever asks (REST, a page, a test) does.
"""

from __future__ import annotations


class Refused(Exception):
    """GitHub would not do it. `str()` is what it would say."""
