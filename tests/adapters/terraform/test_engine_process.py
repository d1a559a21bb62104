"""One engine process: its streams, its environment, its end."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from prbot.ports import Conflict, Limits
from prbot.terraform.process import Command, Ended, run

Shell = Callable[..., Ended]


def limited(timeout: float = 20, grace: float = 5, cancel: threading.Event | None = None) -> Limits:
    return Limits(cancel or threading.Event(), timeout, grace)


def shell(script: str, limits: Limits | None = None, on_line: Callable[[str], None] = lambda line: None) -> Ended:
    command = Command(["/bin/sh", "-c", script], Path("/"), {"PATH": os.defpath})
    return run(command, limits or limited(), on_line)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_both_streams_come_as_lines_in_the_order_in_which_they_were_written() -> None:
    lines: list[str] = []
    ended = shell("for i in 1 2 3; do echo out $i; echo err $i >&2; done; exit 3", on_line=lines.append)
    assert lines == ["out 1", "err 1", "out 2", "err 2", "out 3", "err 3"]
    assert ended.output == "".join(f"{line}\n" for line in lines)
    assert (ended.exit_code, ended.interrupted) == (3, None)


def test_a_line_is_delivered_while_the_process_still_runs(tmp_path: Path) -> None:
    go = tmp_path / "go"
    os.mkfifo(go)

    def answer(line: str) -> None:
        if line == "ready":
            go.write_text("on\n")  # the process waits for this, so that a late line would hang until the timeout

    ended = shell(f"echo ready; read word < {go}; echo $word", on_line=answer)
    assert (ended.output, ended.interrupted) == ("ready\non\n", None)


def test_the_environment_is_exactly_what_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRBOT_GITHUB_TOKEN", "server-secret")
    command = Command(["/usr/bin/env"], Path("/"), {"A": "1", "B": "two words"})
    assert run(command, limited(), lambda line: None).output.splitlines() == ["A=1", "B=two words"]


def test_stdin_is_empty_and_there_is_no_terminal() -> None:
    ended = shell("cat; echo end of input; (: < /dev/tty) 2>/dev/null || echo no terminal")
    assert ended.output == "end of input\nno terminal\n"


def test_no_descriptor_of_the_server_is_inherited(tmp_path: Path) -> None:
    with (tmp_path / "open").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        assert shell("ls -l /proc/self/fd").output.count(str(tmp_path)) == 0


def test_one_stream_can_go_to_a_file_and_the_other_makes_the_lines(tmp_path: Path) -> None:
    command = Command(["/bin/sh", "-c", "echo secret; echo warning >&2"], Path("/"), {"PATH": os.defpath})
    with (tmp_path / "out").open("w+b") as sink:
        ended = run(command, limited(), lambda line: None, stdout=sink)
        sink.seek(0)
        assert (sink.read(), ended.output) == (b"secret\n", "warning\n")


def test_a_cancel_interrupts_once_and_waits_for_a_good_end() -> None:
    cancel = threading.Event()
    script = "trap 'echo interrupted; exit 7' INT; echo ready; while :; do sleep 0.05; done"
    ended = shell(script, limited(cancel=cancel), lambda line: cancel.set())
    assert (ended.exit_code, ended.interrupted, ended.output) == (7, "cancelled", "ready\ninterrupted\n")


def test_a_process_that_ignores_the_interrupt_is_killed_with_all_its_children(tmp_path: Path) -> None:
    child = tmp_path / "child"
    script = f"trap '' INT; sleep 300 & echo $! > {child}; echo ready; wait; sleep 300"
    cancel = threading.Event()
    ended = shell(script, limited(grace=0.2, cancel=cancel), lambda line: cancel.set())
    assert (ended.exit_code, ended.interrupted) == (-signal.SIGKILL, "cancelled")
    assert not is_running(int(child.read_text()))
    assert ended.seconds < 5


def test_a_timeout_interrupts_too() -> None:
    ended = shell("exec sleep 300", limited(timeout=0.2))
    assert (ended.exit_code, ended.interrupted) == (-signal.SIGINT, "timeout")
    assert ended.seconds < 5


def test_a_cancel_from_before_the_start_starts_nothing(tmp_path: Path) -> None:
    cancel = threading.Event()
    cancel.set()
    ended = shell(f"touch {tmp_path}/begun", limited(cancel=cancel))
    assert (ended.interrupted, list(tmp_path.iterdir())) == ("cancelled", [])


def test_a_child_that_outlives_the_process_is_killed_even_if_it_holds_the_pipe(tmp_path: Path) -> None:
    child = tmp_path / "child"
    ended = shell(f"trap '' HUP; sleep 300 & echo $! > {child}; echo bye")
    assert (ended.exit_code, ended.output) == (0, "bye\n")
    assert ended.seconds < 5
    assert not is_running(int(child.read_text()))


def test_a_child_in_a_session_of_its_own_that_keeps_writing_does_not_keep_us(tmp_path: Path) -> None:
    child = tmp_path / "child"
    program = tmp_path / "escape.py"
    program.write_text(
        "import os\nos.setsid()\n"
        f"open({str(child)!r}, 'w').write(str(os.getpid()))\n"
        "while True: os.write(1, b'x' * 99)\n"
    )
    script = f"{sys.executable} {program} & while [ ! -s {child} ]; do sleep 0.01; done; echo bye"
    ended = shell(script)
    pid = int(child.read_text())
    try:
        assert ended.exit_code == 0
        assert ended.seconds < 10
    finally:
        if is_running(pid):
            os.kill(pid, signal.SIGKILL)


def test_the_end_of_the_process_is_seen_at_once() -> None:
    def overhead() -> float:
        begun = time.perf_counter()
        shell("exit 0")
        return time.perf_counter() - begun

    assert min(overhead() for _ in range(5)) < 0.04  # below the tick at which the cancel event is looked at


def test_a_failing_callback_does_not_stop_the_process_and_is_raised_at_its_end(tmp_path: Path) -> None:
    seen: list[str] = []

    def fail(line: str) -> None:
        seen.append(line)
        raise RuntimeError("the database is away")

    with pytest.raises(RuntimeError, match="the database is away"):
        shell(f"echo one; sleep 0.1; echo two; touch {tmp_path}/finished", on_line=fail)
    assert seen == ["one"]
    assert (tmp_path / "finished").exists()


def test_a_program_that_can_not_be_started_is_a_conflict_that_names_it(tmp_path: Path) -> None:
    command = Command([str(tmp_path / "nothing")], Path("/"), {})
    with pytest.raises(Conflict, match="nothing could not be started: No such file"):
        run(command, limited(), lambda line: None)


def test_no_descriptor_is_left_open() -> None:
    shell("true")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        shell("true")
        with pytest.raises(Conflict):
            run(Command(["/nonexistent"], Path("/"), {}), limited(), lambda line: None)
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_flood_of_output_is_kept_to_its_tail_and_can_be_cancelled() -> None:
    cancel = threading.Event()
    count = io.StringIO()

    def after_a_while(line: str) -> None:
        count.write(".")
        if count.tell() == 200_000:
            cancel.set()

    ended = shell("exec yes abcdefghijklmnopqrstuvwxyz", limited(cancel=cancel), after_a_while)
    assert ended.interrupted == "cancelled"
    assert len(ended.output) <= 4 * 1024 * 1024 + 100
    assert ended.output.startswith("[prbot: earlier output is left out")
