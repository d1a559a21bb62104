"""What the engine's files and messages say, read without starting it.

Formats: a saved plan is a zip archive whose `tfstate` is the state it was made from (format 4: `serial`, `lineage`),
the very entry that an apply compares with the live state; `<TF_DATA_DIR>/terraform.tfstate` is the backend that init
configured; `<TF_DATA_DIR>/modules/modules.json` lists the module directories. The same in Terraform and OpenTofu.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

from prbot.core.plans import StatePosition
from prbot.disk import Unreadable, read_regular
from prbot.ports import Conflict, EngineVersion, Site, StateLock, StepResult

LOCK_FILE = ".terraform.lock.hcl"
STAMP = "prbot-init"
"""In the data directory: the digest that the last good init left behind."""

MOST_PLAN = 512 << 20
MOST_TEXT = 16 << 20
"""Bytes of a file that code of the pull request may have written; more is refused, not read."""

_CONFIGURATION = (".tf", ".tf.json", ".tofu", ".tofu.json")
_PROVIDER = re.compile(r'\s*provider\s+"(?P<address>[^"]+)"\s*\{\s*(?:#.*|//.*)?')
_VERSION = re.compile(r'\s*version\s*=\s*"(?P<version>[^"]+)"\s*(?:#.*|//.*)?')
_ERROR = re.compile(r"^[│╷ ]*Error: (?P<title>.*)$", re.MULTILINE)
_LOCK_FIELD = re.compile(r"^[│ ]*(?P<name>ID|Who|Operation|Created): +(?P<value>.*?) *$", re.MULTILINE)
_LOCKING = ("Acquiring state lock.", "Releasing state lock.")
_EPHEMERAL = re.compile(rb"""(?:^|[{,])\s*"?ephemeral"?\s*[=:]\s*"?true\b""", re.MULTILINE)
_STALE = ("Saved plan is stale", "Saved plan does not match the given state")


def state_position(plan_file: Path) -> StatePosition:
    """Lineage and serial of the state that a plan was made from. Conflict if the file is not a saved plan."""
    try:
        with zipfile.ZipFile(io.BytesIO(read_regular(plan_file, MOST_PLAN))) as archive:
            if archive.getinfo("tfstate").file_size > MOST_PLAN:
                raise Unreadable("its state is too large")
            return position_of(json.loads(archive.read("tfstate")))
    except (OSError, Unreadable, zipfile.BadZipFile, KeyError, ValueError, TypeError) as error:
        raise Conflict(f"{plan_file.name} is not a saved plan that can be read ({type(error).__name__})") from error


def position_of(state: dict[str, Any]) -> StatePosition:
    """Of a state's document; no lineage for one of nothing. KeyError, ValueError or TypeError if it is not a state."""
    lineage, serial = str(state["lineage"]), int(state["serial"])
    return StatePosition(lineage, serial) if lineage else StatePosition(None, None)


def backend_identity(data_dir: Path, key: bytes) -> str:
    """`<type>:<hex HMAC-SHA-256>` of the backend that init configured; empty if the directory configures none.

    The digest is over its settings as JSON with sorted keys, those that are not set left out, since engines of other
    releases know others. It is keyed, because settings may hold credentials that could be guessed from a plain digest.
    """
    try:
        backend = json.loads(read_regular(data_dir / "terraform.tfstate", MOST_TEXT)).get("backend")
        if backend is None:
            return ""
        settings = {name: value for name, value in (backend["config"] or {}).items() if value is not None}
        canonical = json.dumps(settings, sort_keys=True, separators=(",", ":")).encode()
        return f"{backend['type']}:{hmac.digest(key, canonical, 'sha256').hex()}"
    except FileNotFoundError:
        return ""
    except (OSError, Unreadable, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Conflict(f"the backend settings that init wrote can't be read ({type(error).__name__})") from error


def lock_file(directory: Path) -> str | None:
    """The dependency lock file's text with its own line ends, None where there is none. Conflict if it is a link."""
    try:
        return read_regular(directory / LOCK_FILE, MOST_TEXT).decode()
    except FileNotFoundError:
        return None
    except (OSError, Unreadable, UnicodeDecodeError):
        raise Conflict(f"{LOCK_FILE} must be a regular text file, not a link or anything else") from None


def plan_digest(plan_file: Path) -> str:
    """`sha256:<hex>` of a saved plan. Conflict if it is not a file that can be read."""
    try:
        return "sha256:" + hashlib.sha256(read_regular(plan_file, MOST_PLAN)).hexdigest()
    except (OSError, Unreadable) as error:
        raise Conflict(f"the plan file can't be read: {getattr(error, 'strerror', None) or error}") from error


def provider_versions(lock_text: str | None) -> dict[str, str]:
    """Provider address to locked version, sorted, from the lock file's text."""
    versions: dict[str, str] = {}
    address = None
    for line in (lock_text or "").splitlines():
        if match := _PROVIDER.fullmatch(line):
            address = match["address"]
        elif address is not None and (match := _VERSION.fullmatch(line)):
            versions[address], address = match["version"], None
    return dict(sorted(versions.items()))


def stale(result: StepResult) -> bool:
    """Whether an apply did nothing because the state had moved.

    The engine finds that out before anything else, so that nothing but waiting for the lock may come before. What comes
    later, errors and warnings included, may be the words of whoever wrote the configuration, and is not believed.
    """
    lines = (line for line in result.output.splitlines() if line.strip("│╷╵ ") and not line.startswith(_LOCKING))
    first = _ERROR.match(next(lines, ""))
    return result.ending == "failed" and first is not None and first["title"].strip() in _STALE


def state_lock(result: StepResult) -> StateLock | None:
    """Who held the state lock, from an `Error acquiring the state lock`."""
    error = next(
        (e for e in _ERROR.finditer(result.output) if e["title"].strip() == "Error acquiring the state lock"), None
    )
    if result.ok or error is None:
        return None
    fields: dict[str, str] = {}
    for match in _LOCK_FIELD.finditer(result.output, error.end()):
        fields.setdefault(match["name"], match["value"])
    return StateLock(
        id=fields.get("ID", ""),
        who=fields.get("Who", ""),
        operation=fields.get("Operation", ""),
        created=fields.get("Created", ""),
    )


def declares_ephemeral(directory: Path) -> bool:
    """Whether anything that a root module declares is ephemeral, such as a variable: only engines that know the word
    get as far as a plan of it."""
    return any(_EPHEMERAL.search(_text_of(path)) for path in directory.iterdir() if path.name.endswith(_CONFIGURATION))


def _text_of(path: Path) -> bytes:
    try:
        return read_regular(path.resolve(), MOST_TEXT)
    except (OSError, Unreadable):  # then the engine could not read it either
        return b""


def workspace_is_missing(result: StepResult, workspace: str) -> bool:
    """Whether an init failed only because nothing was ever planned in `workspace`."""
    return not result.ok and f'Currently selected workspace "{workspace}" does not exist' in result.output


def init_digest(site: Site, version: EngineVersion) -> str | None:
    """A digest over all that init looks at; None where that can't be said for sure, so that init must run.

    That is more than needed: every configuration file of the directory and of the modules that the last init found,
    the lock file, the workspace, and the engine.
    """
    total = hashlib.sha256(f"{version.product} {version.version}\0{site.workspace}\0".encode())
    try:
        for directory in _module_directories(site):
            total.update(f"{directory}\0".encode())
            for path in sorted(site.dir.joinpath(directory).iterdir()):
                if not path.name.endswith((*_CONFIGURATION, LOCK_FILE)):
                    continue
                if path.is_symlink() or not path.is_file():
                    return None
                total.update(f"{path.name}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return total.hexdigest()


def _module_directories(site: Site) -> list[str]:
    """`.` and the directories of all modules, relative to the project's, as the last init listed them."""
    listing = site.data_dir / "modules" / "modules.json"
    modules: list[dict[str, Any]] = json.loads(listing.read_bytes())["Modules"] if listing.exists() else []
    return sorted({".", *(module["Dir"] for module in modules)})
