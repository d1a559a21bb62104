"""`make bench`: what prbot costs beside what the engine and git cost by hand, measured in one run on this machine."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from prbot.jobs.embedded import EmbeddedJobs
from prbot.machine import SortableIds
from prbot.ports import Job, Limits, Site
from prbot.sandbox.pullrequest import SandboxPull
from prbot.store.database import Database
from prbot.store.migrate import upgrade
from prbot.terraform.isolation import Bubblewrap, Isolation, Unconfined, made_up_etc
from prbot.terraform.process import Command, run
from tests.faults.workers import Engine, WorkerProcess, stage, until
from tests.flows.app import Story, shared_with_engines, story, tf

PARALLEL = 2
ROUNDS = 3


def main() -> None:
    """Measure everything, and print a table (or, with `--json`, one object)."""
    figures: dict[str, Any] = {}
    for measure in (hand_over, rooms, against_the_floor, what_one_change_costs, idle):
        with tempfile.TemporaryDirectory(prefix="prbot-bench-") as root:
            figures |= measure(Path(root))
            if "--json" not in sys.argv:
                print(f"{measure.__name__.replace('_', ' ')}: {(measure.__doc__ or '').strip().splitlines()[0]}")
                for name, figure in figures.items():
                    if name.startswith(measure.__name__):
                        print(f"  {name.partition('.')[2]:<32} {figure}")
                sys.stdout.flush()
    if "--json" in sys.argv:
        print(json.dumps(figures))


def hand_over(root: Path) -> Mapping[str, object]:
    """From the commit that queues a job to its first line, in ms; aim: median 10, p95 20, also after idling."""
    db = Database(f"sqlite:///{root / 'bench.db'}")
    upgrade(db)
    begun: dict[str, float] = {}
    arrived = threading.Event()

    def work(job: Job) -> None:
        begun[job.args["n"]] = time.perf_counter()
        arrived.set()

    jobs = EmbeddedJobs(db, SortableIds(), threads=4, worker="bench", wake_path=root / "wake", runs_parallel=2)
    jobs.start({"step": work}, on_abort=lambda _: None, on_sweep=lambda: None)
    taken = []
    for number in range(60):
        if number in (0, 30, 59):
            time.sleep(3)  # the first after idling counts like any other
        arrived.clear()
        with db.write() as tx:
            jobs.enqueue(tx, "step", {"n": str(number)})
        queued = time.perf_counter()
        arrived.wait(5)
        taken.append((begun[str(number)] - queued) * 1000)
        time.sleep(0.02)
    jobs.drain(5)
    jobs.stop()
    db.close()
    return {
        "hand_over.median_ms": round(statistics.median(taken), 1),
        "hand_over.p95_ms": round(statistics.quantiles(taken, n=20)[-1], 1),
        "hand_over.worst_after_idle_ms": round(max(taken[0], taken[30], taken[59]), 1),
    }


def rooms(root: Path) -> Mapping[str, object]:
    """One process that does nothing: by itself, in a room, in a room with a network of its own; medians, in ms."""
    site = Site(root / "checkout", root / "checkout", "default", root / "data", root / "tmp")
    for directory in (site.checkout, site.data_dir, site.tmp_dir):
        directory.mkdir()
    limits = Limits(threading.Event(), 60)
    kinds: dict[str, Isolation] = {
        "open": Unconfined(),
        "room": Bubblewrap(made_up_etc(root / "etc", private_network=False), network=None),
        "room_with_network": Bubblewrap(made_up_etc(root / "etc2", private_network=True)),
    }
    taken: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(30):
        for name, kind in kinds.items():  # in turn, so that what else the machine does meets all alike
            room = kind.room(Path("/bin/true"), "plan", site, limits)
            began = time.perf_counter()
            ended = run(Command(["/bin/true"], root, {"PATH": os.defpath}, room), limits, lambda line: None)
            taken[name].append((time.perf_counter() - began) * 1000)
            if ended.exit_code:
                return {"rooms.problem": ended.output.strip()}
    return {f"rooms.{name}_ms": round(statistics.median(each), 1) for name, each in taken.items()}


def against_the_floor(root: Path) -> Mapping[str, object]:
    """Webhook to plan comment, beside fetch, init, plan and show by hand at the same parallelism; medians, in s."""
    figures: dict[str, object] = {}
    for projects in (1, 20):
        ours, floors = [], []
        for number in range(ROUNDS):
            with story(root / f"{projects}-{number}", parallel=PARALLEL) as app:
                name = f"acme/p{projects}-{number}"
                files = {f"m{each}/main.tf": "" for each in range(projects)}
                infra = app.repo(name)
                modules = {path: tf(infra.backend(path.split("/")[0]), v=1) for path in files}
                floors.append(_by_hand(app, root / f"floor-{projects}-{number}", infra.clone_url, modules))
                began = time.perf_counter()
                pull = infra.open_pull(by="al", files=modules)
                until(_commented(pull), 120)
                ours.append(time.perf_counter() - began)
                app.settle()
        ours_s, floor_s = statistics.median(ours), statistics.median(floors)
        key = f"against_the_floor.{projects}_projects"
        figures[f"{key}_prbot_s"], figures[f"{key}_by_hand_s"] = round(ours_s, 2), round(floor_s, 2)
        figures[f"{key}_ratio"] = round(ours_s / floor_s, 2)
    return figures


def _commented(pull: SandboxPull) -> Callable[[], object]:
    return lambda: any("## Plan" in comment.body for comment in pull.comments())


def _by_hand(app: Story, root: Path, clone_url: str, modules: Mapping[str, str]) -> float:
    """What a person's script would do: clone over HTTP, write the change, and init, plan, show each module."""
    began = time.perf_counter()
    address = clone_url.replace("://", f"://x-access-token:{app.world.token}@")
    subprocess.run(["git", "clone", "--quiet", address, str(root)], check=True, env=_environment(root))
    for path, text in modules.items():
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_text(text)
    with ThreadPoolExecutor(PARALLEL) as pool:
        list(pool.map(lambda path: _plan_by_hand((root / path).parent), modules))
    return time.perf_counter() - began


def _plan_by_hand(directory: Path) -> None:
    for step in (["init", "-input=false"], ["plan", "-input=false", "-out=plan"], ["show", "-json", "plan"]):
        subprocess.run(
            ["terraform", *step], cwd=directory, check=True, env=_environment(directory), stdout=subprocess.DEVNULL
        )


def _environment(home: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(home), "CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1"}


def what_one_change_costs(root: Path) -> Mapping[str, object]:
    """Engine processes and requests to GitHub for one project: its plan, then its merge and apply."""
    figures: dict[str, object] = {}
    shared = shared_with_engines(root)
    shared.mkdir()
    engine = Engine(shared)
    with story(root, engine=str(engine.path)) as app:
        infra = app.repo()
        for phase in ("plan", "apply"):
            calls, requests = _calls(engine), len(app.world.requests)
            if phase == "plan":
                pull = infra.open_pull(by="al", files={"net/main.tf": tf(infra.backend("net"), v=1)})
            else:
                pull.approve(by="bo")
                app.settle()
                calls, requests = _calls(engine), len(app.world.requests)
                pull.merge(by="al")
            app.settle()
            made = [each for each in app.world.requests[requests:] if each.route != "git"]
            figures[f"what_one_change_costs.{phase}_engine"] = dict(_calls(engine) - calls)
            figures[f"what_one_change_costs.{phase}_requests"] = len(made)
            figures[f"what_one_change_costs.{phase}_routes"] = dict(Counter(each.route for each in made))
    return figures


def _calls(engine: Engine) -> Counter[str]:
    return Counter(engine.calls_file.read_text().split() if engine.calls_file.exists() else [])


def idle(root: Path) -> Mapping[str, object]:
    """A worker process with nothing to do, over ten seconds: share of a core, and memory."""
    with stage(root) as (app, _):
        worker = WorkerProcess(app)
        until(lambda: app.workers() == 1)
        time.sleep(3)
        before = _ticks(worker.process.pid)
        time.sleep(10)
        used = (_ticks(worker.process.pid) - before) / os.sysconf("SC_CLK_TCK") / 10
        status = Path(f"/proc/{worker.process.pid}/status").read_text()
        memory = int(status.partition("VmRSS:")[2].split()[0]) // 1024
        worker.end()
    return {"idle.worker_percent_of_a_core": round(used * 100, 2), "idle.worker_memory_mib": memory}


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


if __name__ == "__main__":
    if shutil.which("terraform") is None:
        sys.exit("the bench needs `terraform` on PATH; `make bench` sees to that")
    main()
