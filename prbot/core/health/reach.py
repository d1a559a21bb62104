"""Verdicts on the way from GitHub to this server: the public URL, what answers there, and the webhook's secret."""

from __future__ import annotations

from dataclasses import dataclass

from prbot.core.health import Finding, failed, ok, skipped, warning

PUBLIC, SECRET = "public URL", "webhook secret"
START = "Start it (prbot serve), then run prbot doctor again."


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request got: the status (0 for none), whether prbot itself answered, and why there was no answer."""

    status: int
    is_prbot: bool = False
    problem: str = ""
    location: str = ""
    """Where a redirect leads."""


def public_url(url: str, local: Answer, bind: str, public: Answer) -> Finding:
    """`local` is `/healthz` where this server listens (`bind`), `public` the same by the public URL."""
    if public.is_prbot:
        return ok(PUBLIC, f"{url} leads to prbot")
    what = _what(url, public)
    if not local.is_prbot:
        return skipped(PUBLIC, f"prbot is not running on {bind}, and {what}", START)
    if 300 <= public.status < 400:
        to = f" to {public.location}" if public.location else ""
        return failed(
            PUBLIC, f"{url} redirects{to}", "GitHub follows no redirects: set PRBOT_PUBLIC_URL to where it leads."
        )
    if public.status:
        advice = f"Let the proxy at that address pass everything on to {bind}, or correct PRBOT_PUBLIC_URL."
    else:
        advice = f"Correct PRBOT_PUBLIC_URL, or the DNS, firewall or proxy on the way to {bind}: GitHub must get there."
    return failed(PUBLIC, f"prbot answers on {bind}, but {what}", advice)


def no_public_url() -> Finding:
    """Nobody said where this server is reached."""
    said = "PRBOT_PUBLIC_URL is not set: comments link to no pages, and nothing tells whether webhooks arrive"
    return warning(PUBLIC, said, "Set it to the URL that GitHub and people reach this server by.")


def ping(hook_url: str, answer: Answer) -> Finding:
    """The answer to a ping that was signed with our secret and sent to the public URL."""
    match answer.status:
        case 202:
            return ok(SECRET, f"a signed ping to {hook_url} was taken")
        case 401:
            said = f"{hook_url} refused a ping that was signed with our secret"
            advice = (
                "The running server has another secret (restart it after a change), or a proxy on the way asks for a "
                "login or changes what it passes on."
            )
            return failed(SECRET, said, advice)
        case 0:
            return failed(
                SECRET, f"{hook_url} gave no answer: {answer.problem}", "Look at the proxy's and prbot's logs."
            )
    advice = (
        "A proxy on the way lets GET through but not POST: let it pass POST /webhooks/github with its body and headers."
    )
    return failed(SECRET, f"{hook_url} answered {answer.status} to a signed ping, where 202 is right", advice)


def _what(url: str, answer: Answer) -> str:
    if answer.status == 0:
        return f"{url} does not answer ({answer.problem})"
    if answer.status == 200:
        return f"something else than prbot answers at {url}"
    return f"{url} answers {answer.status}"
