"""GitHub fails in every way that it can: nothing is lost, nothing is said twice."""

from __future__ import annotations

import pytest

from tests.flows.app import Story, tf
from tests.flows.conftest import app  # noqa: F401  (the fixture)


def planned_once(app: Story) -> None:  # noqa: F811
    infra = app.repo()
    pull = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1)})
    app.settle(90)
    assert len([comment for comment in pull.comments() if "## Plan" in comment.body]) == 1
    assert pull.status("prbot/plan")["state"] == "success"
    assert app.world.pending_faults == []


@pytest.mark.parametrize("route", ["get_pull", "permission", "list_reviews", "create_comment", "set_status"])
@pytest.mark.parametrize("status", [502, 503])
def test_a_server_error_is_tried_again(app: Story, route: str, status: int) -> None:  # noqa: F811
    app.world.fail_next(route, status)
    planned_once(app)


def test_a_comment_that_was_written_though_the_reply_was_lost_is_not_written_twice(app: Story) -> None:  # noqa: F811
    app.world.drop_next("create_comment", 1, after_effect=True)
    planned_once(app)


def test_a_rate_limit_is_waited_out(app: Story) -> None:  # noqa: F811
    app.world.rate_limit_next("create_comment", retry_after=1, status=403, secondary=True, times=1)
    planned_once(app)


def test_a_delivery_that_comes_twice_acts_once(app: Story) -> None:  # noqa: F811
    app.world.hooks.double_next(3)
    planned_once(app)


def test_deliveries_in_the_wrong_order_end_in_the_right_state(app: Story) -> None:  # noqa: F811
    infra = app.repo()
    app.settle()
    app.world.hooks.hold()
    pull = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1)})
    pull.push(by="al", files={"net/main.tf": tf(infra.backend("net"), v=2)})
    app.world.hooks.release(order="reversed")
    app.settle()
    assert app.runs(pull)[-1].head_sha == pull.head_sha
    assert pull.status("prbot/plan")["state"] == "success"
