"""Which engine there is on this machine, and whether it is new enough."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from prbot.ports import Conflict, EngineVersion

MINIMUM = {
    # Plans say `applyable` since 1.8, and say it rightly of plans that change nothing but outputs since 1.10.
    "terraform": (1, 10, 0),
    # The first with `removed` blocks; older ones get no fixes any more.
    "opentofu": (1, 7, 0),
}
_FIRST_LINE = re.compile(r"(?P<product>Terraform|OpenTofu) v(?P<version>(?P<numbers>\d+\.\d+\.\d+)\S*)")
_TIMEOUT = 60.0

Known = dict[tuple[str, int, int], EngineVersion]
"""Versions by program: its path, time of change (ns) and size. A replaced binary is asked again."""


def find(name: str, path: str | None = None) -> Path:
    """The full path of an engine given by name or path; `path` is searched, the server's PATH by default."""
    found = shutil.which(os.path.expanduser(name), path=path)
    if found is None:
        where = "is not an executable file" if os.sep in name else "was not found on PATH"
        raise Conflict(
            f"the engine `{name}` {where}: install it, or set PRBOT_ENGINE to the path of Terraform or OpenTofu"
        )
    return Path(os.path.abspath(found))


def version_of(binary: Path, known: Known) -> EngineVersion:
    """The version of an engine, from `known` or by asking it. Conflict if it isn't one, or is too old."""
    status = binary.stat()
    key = (str(binary), status.st_mtime_ns, status.st_size)
    if key not in known:
        known[key] = parse(_ask(binary), binary)
    version = known[key]
    _check(version)
    return version


def parse(text: str, binary: Path) -> EngineVersion:
    """Read what `version` prints. Its JSON form is of no use: OpenTofu calls itself `terraform_version` there too."""
    match = _FIRST_LINE.match(text)
    if match is None:
        raise Conflict(
            f"{binary} does not answer `version` as Terraform or OpenTofu do: set PRBOT_ENGINE to one of them"
        )
    return EngineVersion(match["product"].lower(), match["version"])


def _check(version: EngineVersion) -> None:
    minimum = MINIMUM[version.product]
    # A release candidate of the minimum passes: only the numbers are compared.
    if tuple(int(number) for number in re.findall(r"\d+", version.version)[:3]) < minimum:
        wanted = ".".join(map(str, minimum))
        asked = f"prbot needs {wanted} or later: upgrade it, or set PRBOT_ENGINE to another"
        raise Conflict(f"{version.product} {version.version} is too old; {asked}")


def _ask(binary: Path) -> str:
    try:
        answer = subprocess.run(
            [binary, "version"],
            cwd="/",  # it would read the lock file of the directory it is in
            env={"PATH": os.defpath, "HOME": "/nonexistent", "CHECKPOINT_DISABLE": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT,
            check=False,
        )
    except OSError as error:
        raise Conflict(f"{binary} could not be started: {error.strerror}") from error
    except subprocess.TimeoutExpired:
        raise Conflict(f"{binary} did not answer `version` within {_TIMEOUT:.0f} seconds") from None
    return answer.stdout.decode(errors="replace")
