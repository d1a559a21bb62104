"""`prbot serve` and `prbot worker`: the processes of a running server, and how they end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

THREADS = 8
"""Requests answered at once. They are short: what takes time is the worker's."""
INTAKE_SECONDS = 30.0
"""How long requests under way may take once the server is told to stop."""
_LOOK_SECONDS = 0.2


def serve(config: Path | None, *, with_worker: bool) -> int:
    """Run the web process and, unless told otherwise, a worker, until a signal. The exit code.

    Either ending by itself ends the other: whoever runs us starts us again. SIGHUP has the worker load the rules anew;
    the web process has none.
    """
    from prbot.wiring import CONFIG, build, check_engine, read_settings

    stop = _until_signal()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # inherited: it must not end a worker that is not listening yet
    settings = read_settings(config)
    services = build(settings)
    check_engine(services)
    services.db.close()
    environment = {**os.environ, **({CONFIG: str(config.absolute())} if config else {})}
    web = _start(_gunicorn(settings.bind), environment)
    worker = _start([sys.executable, "-m", "prbot", "worker"], environment) if with_worker else None
    print(f"prbot listens on http://{settings.bind}", file=sys.stderr, flush=True)
    reload = _on_hangup()
    children = [each for each in (web, worker) if each is not None]
    while not stop.is_set() and all(each.poll() is None for each in children):
        stop.wait(_LOOK_SECONDS)
        if reload.is_set() and worker is not None:
            reload.clear()
            worker.send_signal(signal.SIGHUP)
    return _wind_down(web, worker, told=stop.is_set())


def work(config: Path | None) -> int:
    """Run a worker until a signal, and finish what it does. SIGHUP has it load the rules anew. The exit code."""
    from prbot.logs import configure_logging
    from prbot.wiring import build, check_engine, read_settings, reload_when_told, run_worker

    stop, reload = _until_signal(), _on_hangup()
    settings = read_settings(config)
    services = build(settings)
    configure_logging(settings.log_format, settings.log_level, services.secrets)
    check_engine(services)
    reload_when_told(services, reload)
    return 0 if run_worker(services, stop) else 1


def _until_signal() -> threading.Event:
    """An event that SIGTERM or SIGINT sets."""
    return _set_by(signal.SIGTERM, signal.SIGINT)


def _on_hangup() -> threading.Event:
    """An event that SIGHUP sets."""
    return _set_by(signal.SIGHUP)


def _set_by(*numbers: signal.Signals) -> threading.Event:
    told = threading.Event()

    def tell(_number: int, _frame: FrameType | None) -> None:
        told.set()

    for number in numbers:
        signal.signal(number, tell)
    return told


def _gunicorn(bind: str) -> list[str]:
    return [
        sys.executable, "-m", "gunicorn", "prbot.wiring:create_app()", f"--bind={bind}", "--worker-class=gthread",
        "--workers=1", f"--threads={THREADS}", f"--graceful-timeout={INTAKE_SECONDS:.0f}", "--log-level=warning",
        "--no-control-socket", "--forwarded-allow-ips=",
    ]  # fmt: skip


def _start(command: list[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    # A session of its own: Ctrl-C is for us, who stop the children in order.
    return subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, start_new_session=True)


def _wind_down(web: subprocess.Popen[bytes], worker: subprocess.Popen[bytes] | None, *, told: bool) -> int:
    """Stop intake first, then the worker, however long its applies take."""
    _end(web, INTAKE_SECONDS + 5)
    if worker is None:
        return 0 if told else 1
    if worker.poll() is None:
        worker.send_signal(signal.SIGTERM)
    code = worker.wait()
    return code if told else 1


def _end(process: subprocess.Popen[bytes], seconds: float) -> None:
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
