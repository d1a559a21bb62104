"""What is swept: how the world is made ready, and what people do then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from prbot.sandbox.pullrequest import SandboxPull
from prbot.sandbox.repository import SandboxRepo
from tests.flows.app import Story, shared_with_engines, tf

REPO = "acme/infra"
Act = Callable[[Story], None]


@dataclass(frozen=True, slots=True)
class Scenario:
    """`prepare` is done with a worker at hand, and settled; `act` is what the sweep is about."""

    name: str
    prepare: Act
    act: Act


def infra(app: Story) -> SandboxRepo:
    return SandboxRepo(app.world, app.world.hub.state.repos[REPO])


def pull(app: Story, number: int = 1) -> SandboxPull:
    return infra(app).pull(number)


# -- made ready -------------------------------------------------------------------------------------------------------
def connected(app: Story) -> None:
    app.repo(REPO)
    infra(app).commit("main", {"net/main.tf": tf(infra(app).backend("net"), v=1)}, by="al")


def open_pull(app: Story) -> None:
    infra(app).open_pull(by="al", files={"net/main.tf": tf(infra(app).backend("net"), v=2)})


def planned(app: Story) -> None:
    connected(app)
    open_pull(app)
    app.settle()


def reviewed(app: Story) -> None:
    planned(app)
    approve(app)
    app.settle()


def base_moved(app: Story) -> None:
    """Somebody pushed to main what the plan that was approved does not show."""
    reviewed(app)
    infra(app).commit("main", {"net/extra.tf": tf("", sneaked="in")}, by="bo")
    app.settle()


def held(app: Story) -> None:
    base_moved(app)
    merge(app)
    app.settle()


def fails_once(app: Story) -> None:
    """A change whose second resource can only be made once a file is there."""
    app.repo(REPO)
    failing = (
        infra(app).backend("net")
        + '\nresource "terraform_data" "one" {\n  input = "1"\n}\n'
        + 'resource "terraform_data" "two" {\n  input = "2"\n  depends_on = [terraform_data.one]\n'
        + f'  provisioner "local-exec" {{\n    command = "test -e {_way_in(app)}"\n  }}\n}}\n'
        + 'output "two" {\n  value = terraform_data.two.output\n}\n'
    )
    infra(app).open_pull(by="al", files={"net/main.tf": failing})
    app.settle()
    approve(app)
    app.settle()


def failed(app: Story) -> None:
    fails_once(app)
    merge(app)
    app.settle()


def with_a_reader(app: Story) -> None:
    """Two projects of one change, of which `app` reads what `net` is made from."""
    app.repo(REPO)
    reads = 'locals {\n  net = file("../net/main.tf")\n}\n'
    files = {
        "net/main.tf": tf(infra(app).backend("net"), v=1),
        "app/main.tf": tf(infra(app).backend("app"), v=1) + reads,
    }
    infra(app).open_pull(by="al", files=files)
    app.settle()
    approve(app)
    app.settle()


def queued(app: Story) -> None:
    """Two pull requests on one project: the first holds it."""
    planned(app)
    files = {"net/other.tf": tf("", w=1)}
    infra(app).open_pull(by="bo", files=files)
    app.settle()


# -- done -------------------------------------------------------------------------------------------------------------
def approve(app: Story) -> None:
    pull(app).approve(by="bo")


def merge(app: Story) -> None:
    pull(app).merge(by="al")


def push(app: Story) -> None:
    pull(app).push(by="al", files={"net/main.tf": tf(infra(app).backend("net"), v=3)})


def release(app: Story) -> None:
    fingerprint = app.runs(pull(app), "apply")[-1].fingerprint
    pull(app).comment(by="mo", body=f"prbot approve {fingerprint.split(':')[1][:8]}")


def retry(app: Story) -> None:
    _way_in(app).touch()
    pull(app).comment(by="al", body="prbot apply")


def unlock(app: Story) -> None:
    pull(app).comment(by="al", body="prbot unlock")


def discard(app: Story) -> None:
    pull(app).comment(by="mo", body="prbot unlock")


def close(app: Story) -> None:
    pull(app).close(by="al")


def _way_in(app: Story) -> Path:
    return shared_with_engines(app.root) / "open-sesame"


SCENARIOS = (
    Scenario("plan", connected, open_pull),
    Scenario("push", planned, push),
    Scenario("approve", planned, approve),
    Scenario("merge and apply", reviewed, merge),
    Scenario("hold", base_moved, merge),
    Scenario("release", held, release),
    Scenario("failed apply", fails_once, merge),
    Scenario("retry", failed, retry),
    Scenario("unlock", queued, unlock),
    Scenario("discard", failed, discard),
    Scenario("close", queued, close),
    Scenario("one after the other", with_a_reader, merge),
)
