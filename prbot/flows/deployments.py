"""Applies as deployments on the forge's page of environments, one a project, where the rules want them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict

from sqlmodel import Session

from prbot.core.comments.words import in_words
from prbot.core.ids import PullKey
from prbot.core.pulls import Deployment, DeploymentState
from prbot.core.runs import RunStatus
from prbot.flows.services import Services
from prbot.flows.steps import counts_of
from prbot.store import posts
from prbot.store.tables import Post, Run

_STATES: Mapping[RunStatus, DeploymentState] = {
    RunStatus.APPLYING: "in_progress",
    RunStatus.APPLIED: "success",
    RunStatus.ERRORED: "failure",
    RunStatus.UNKNOWN: "error",
}


def want(services: Services, tx: Session, pull: PullKey, applies: Iterable[Run]) -> None:
    """Say how the deployments of these applies should stand. One that never came to the engine has none."""
    for run in applies:
        state = _STATES.get(run.status)
        if state is None or (state == "failure" and not run.applied_output):
            continue
        said = f"{run.project.label}: {in_words(counts_of(run))}"[:140]
        wanted = Deployment(run.commit, run.project.label, state, said, services.identity.run_url(run.id))
        posts.want(tx, pull, posts.DEPLOYMENT, run.id, [json.dumps(asdict(wanted), sort_keys=True)])


def send(services: Services, pull: PullKey, post: Post) -> int | None:
    """Begin the deployment unless that was done, and say how it stands."""
    wanted = Deployment(**json.loads(post.body))
    number = post.external_id
    if number is None:
        number = services.forge.create_deployment(pull.repo, wanted)
    if number is not None:
        services.forge.set_deployment(pull.repo, number, wanted)
    return number
