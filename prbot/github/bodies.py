"""What is sent to GitHub, as its REST API wants it. Pure."""

from __future__ import annotations

from typing import Any

from prbot.core.pulls import CheckRun, Deployment

Body = dict[str, Any]

PLAN_BUTTON = "plan"
"""The identifier that GitHub sends back when somebody presses the button of a check run."""


def check_run(number: int, check: CheckRun) -> Body:
    """A check run of a pull request; GitHub's event for its button brings `external_id` back, its number.

    Also for a check run that was completed: a state without conclusion opens it again.
    """
    body: Body = {
        "name": check.name,
        "external_id": str(number),
        "output": {"title": check.title, "summary": check.summary, **({"text": check.text} if check.text else {})},
        "actions": [],
    }
    if check.conclusion is None:
        body["status"] = "in_progress"
    else:
        body |= {"status": "completed", "conclusion": check.conclusion}
    if check.target_url:
        body["details_url"] = check.target_url
    if check.button:
        description = "Plans this commit, as the plan command does"
        body["actions"] = [{"label": check.button, "description": description[:40], "identifier": PLAN_BUTTON}]
    return body


def deployment(it: Deployment) -> Body:
    """A deployment of exactly this commit: nothing is merged for it, and no status is waited for."""
    return {
        "ref": it.sha,
        "environment": it.environment,
        "description": it.description,
        "auto_merge": False,
        "required_contexts": [],
    }


def deployment_status(it: Deployment) -> Body:
    """How a deployment stands. Older ones of the environment become inactive by a success, as is GitHub's default."""
    told = {"state": it.state, "environment": it.environment, "description": it.description}
    return {**told, "log_url": it.log_url} if it.log_url else told
