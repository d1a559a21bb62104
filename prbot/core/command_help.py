"""What `help` shows: the table of commands and that of who may, as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from prbot.core.commands import FLAGS, SPECS, Spec
from prbot.core.permissions import Who, who_may


def help_text(prefix: str = "prbot", who: Who | None = None, *, specs: Sequence[Spec] = SPECS) -> str:
    """All commands and flags as markdown, for a comment or a page; with who may, where the rules say `who`."""
    lines = ["| Command | What it does | Who may |", "|:--|:--|:--|"]
    for spec in specs:
        usage = " ".join(filter(None, (prefix, spec.name, spec.args.shown)))
        lines.append(f"| `{usage}` | {spec.help} | {who_may(spec.name, who or Who())} |")
    lines += ["", "| Flag | What it does | Of |", "|:--|:--|:--|"]
    takers: Mapping[str, list[str]] = {
        flag.fills: [each.name for each in specs if flag in each.flags] for flag in FLAGS
    }
    for flag in FLAGS:
        if takers[flag.fills]:
            usage = ", ".join(f"`{name} {flag.value}`" if flag.value else f"`{name}`" for name in flag.names)
            lines.append(f"| {usage} | {flag.help} | {', '.join(takers[flag.fills])} |")
    extra = [spec.name for spec in specs if spec.extra_args]
    if extra:
        lines.append(f"| `-- ARGS` | hand these to the engine, as far as the rules allow them | {', '.join(extra)} |")
    silent = "What stands in a quote, a list or code is not followed, nor what is said in a review, or written into"
    lines += ["", f"One command a line, several a comment. {silent} a comment later."]
    return "\n".join(lines)
