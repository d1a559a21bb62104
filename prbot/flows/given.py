"""What a run's engine processes get: chosen by the rules, recorded before it is read, and gone with the run."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from prbot.audit.entries import PRBOT
from prbot.core.credentials import Phase, names_for
from prbot.core.redact import SHORTEST, Redactor
from prbot.core.rule_sets import RuleSet
from prbot.disk import remove
from prbot.flows.harmless import HARMLESS
from prbot.flows.services import Services
from prbot.ports import Given, Purpose, Site
from prbot.store.tables import Run

COVER_SECONDS = 30.0
"""How long credentials wait for their entry to be in the audit log before they are not read."""
_FILES = ".prbot-credentials"
_SECRET = re.compile(r"""(?:\bpassword\s+|"?\btoken"?\s*[=:]\s*)"?([^\s"]+)""")
"""What is secret of a netrc, and of Terraform's CLI configuration."""


def given_for(services: Services, run: Run, phase: Phase, book: RuleSet) -> Given:
    """Read what the rules say that a run gets in a phase. Raises Unavailable, and Transient if it is not on record."""
    names = names_for(book.of(run.repo).credentials, run.project)
    chosen = [(name, book.credentials[name]) for name in names]
    purpose = Purpose(phase, run.project, run.pull, run.id, "")
    if services.credentials.named(purpose, chosen):
        with services.db.write() as tx:
            entry = services.audit.append(
                tx,
                "credentials.read",
                actor=PRBOT,
                project=run.project,
                pull=run.pull,
                run=run.id,
                facts={"phase": phase, "names": list(names)},
            )
        services.audit.ensure_covered(entry, COVER_SECONDS)
        purpose = replace(purpose, entry=entry)
    return services.credentials.read(purpose, chosen)


def masking(masks: Redactor, given: Given) -> Redactor:
    """The masks with every value that a run gets, but for those whose names say that they are harmless."""
    named = [*given.environment.items(), *given.init_environment.items()]
    values = {value for name, value in named if len(value) >= SHORTEST and not HARMLESS.search(name)}
    tokens = {each.decode(errors="replace").strip() for each in given.files.values()}
    kept = {word for each in given.init_files.values() for word in _SECRET.findall(each.decode(errors="replace"))}
    return masks.with_secrets(values | tokens | kept)


@contextmanager
def in_place(services: Services, site: Site, given: Given) -> Iterator[Site]:
    """The site with what it is given: files lie in its temporary directory for the length of the block."""
    place = site.tmp_dir / _FILES
    environment = dict(given.environment)
    try:
        for variable, content in given.files.items():
            path = _write(place / variable, content)
            environment[variable] = services.engine.seen_as(path, site)
        yield replace(site, environment=environment)
    finally:
        remove(place)


@contextmanager
def for_init(site: Site, given: Given) -> Iterator[Site]:
    """The site as `init` alone sees it."""
    paths = [site.tmp_dir / name for name in given.init_files]
    try:
        for path, content in zip(paths, given.init_files.values(), strict=True):
            _write(path, content)
        yield replace(site, environment={**site.environment, **given.init_environment})
    finally:
        for path in paths:
            path.unlink(missing_ok=True)


def _write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb") as file:
        file.write(content)
    return path
