"""Verdicts on the host that prbot runs on."""

from __future__ import annotations

from pathlib import PurePath

from prbot.core.health import Finding, failed, ok, warning

GIB = 1024**3
LITTLE_DISK = 5 * GIB
NO_DISK = 1 * GIB
OLDEST_GIT = (2, 38)
"""The first with `git merge-tree --write-tree`."""
NETWORK_FILE_SYSTEMS = frozenset(
    {"9p", "afs", "ceph", "cifs", "fuse.glusterfs", "fuse.sshfs", "glusterfs", "lustre", "nfs", "nfs4", "smb3"}
)


def disk(path: PurePath, free: int) -> Finding:
    """How many bytes are free where checkouts, providers and plans go."""
    said = f"{path}: {free / GIB:.1f} GiB free"
    if free < NO_DISK:
        return failed(
            "disk", said, "Free some space, or set PRBOT_DATA_DIR to a larger disk: plans need at least 1 GiB."
        )
    if free < LITTLE_DISK:
        return warning("disk", said, "Checkouts and providers take space: give it 5 GiB or more.")
    return ok("disk", said)


def privacy(check: str, path: PurePath, mode: int) -> Finding:
    """Whether only the owner can look into a directory that is there and can be written to."""
    if mode & 0o022:
        return failed(check, f"others can write to {path} (mode {mode:04o})", f"Run: chmod 700 {path}")
    if mode & 0o077:
        return warning(check, f"others can look into {path} (mode {mode:04o})", f"Run: chmod 700 {path}")
    return ok(check, f"{path}: writable, and private")


def secret_file(check: str, path: PurePath, mode: int, checkout: PurePath | None) -> Finding:
    """Whether a file that holds a secret is kept like one; `checkout` is the git working tree that it lies in."""
    if mode & 0o027:
        return failed(check, f"others can use {path} (mode {mode:04o})", f"Run: chmod 600 {path}")
    if checkout is not None:
        said = f"{path} lies in the git checkout {checkout}, where one `git add` publishes it"
        return failed(check, said, "Move it out of the checkout, and change the setting that names it.")
    if mode & 0o070:
        return warning(check, f"its group can use {path} (mode {mode:04o})", f"Run: chmod 600 {path}")
    return ok(check, f"{path}: there, and private")


def file_system(path: PurePath, mounts: str) -> str:
    """The type of the file system that an absolute path lies on, by the text of /proc/self/mounts."""
    best, kind = "", ""
    for line in mounts.splitlines():
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        point = fields[1].replace("\\040", " ")
        if len(point) >= len(best) and path.is_relative_to(point):
            best, kind = point, fields[2]
    return kind


def database_place(path: PurePath, kind: str) -> Finding | None:
    """None unless the database's file lies where SQLite's locks and shared memory cannot be relied on."""
    if kind not in NETWORK_FILE_SYSTEMS:
        return None
    said = f"{path} lies on a network file system ({kind}), where SQLite's locks are not to be relied on"
    return warning("database", said, "Put the data directory, or PRBOT_DATABASE_URL's file, on a local disk.")


def database(path: PurePath, damage: str, revision: str | None, wanted: str, known: frozenset[str]) -> Finding:
    """A database that opened: what its integrity check said (empty: nothing), and the revision of its tables."""
    if damage:
        said = f"{path} is damaged: {damage}"
        return failed("database", said, "Stop prbot, keep a copy of the file, and restore the newest good backup.")
    if revision == wanted:
        return ok("database", f"{path}: whole, with this version's tables")
    if revision is None or revision in known:
        said = f"{path}: whole, with an earlier version's tables ({revision or 'none'}; this version's are {wanted})"
        return warning("database", said, "Back it up, then run: prbot migrate (a start does it too)")
    said = f"{path} was made by another version of prbot (its tables are at {revision}, unknown here)"
    return failed("database", said, "Run the version that made it, or restore a backup from before.")


def git(version: str) -> Finding:
    """`version` is what `git version` prints."""
    numbers = next((word for word in version.split() if word[:1].isdigit()), "")
    parts = tuple(int(part) for part in numbers.split(".")[:2] if part.isdigit())
    if len(parts) < 2:
        return failed("git", f"`git version` says {version[:100]!r}", "Install git 2.39 or later where PATH finds it.")
    if parts < OLDEST_GIT:
        said = f"git {numbers} is too old: merge results need {'.'.join(map(str, OLDEST_GIT))} or later"
        return failed("git", said, "Install git 2.39 or later where PATH finds it first.")
    return ok("git", f"git {numbers}")


def isolation(keeps: str, *, off: bool, own_network: bool) -> Finding:
    """What keeps engine processes apart from prbot, once it was found to work."""
    if off:
        said = "off: a plan runs the pull request's code with prbot's own rights, key files and database included"
        advice = "Say PRBOT_ISOLATION=required, or let only people open pull requests who may run code on this host."
        return warning("isolation", said, advice)
    if not own_network:
        said = f"{keeps}: plans reach what listens on this host, and the cloud's metadata service"
        advice = "Say PRBOT_ISOLATION_NETWORK=private, or keep this user off the metadata service by other means."
        return warning("isolation", said, advice)
    return ok("isolation", keeps)


def environments(plan: PurePath | None, apply: PurePath | None) -> Finding | None:
    """None unless plans, which run code that nobody reviewed, get the credentials of applies."""
    if plan is None or plan != apply:
        return None
    said = f"plans and applies get the same credentials ({plan}): code that nobody reviewed can use them"
    advice = "Give plans credentials that can only read (and lock the state): PRBOT_PLAN_ENV_FILE."
    return warning("environment files", said, advice)
