"""What GitHub says: its clock, our token, the repositories of the allow-list."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from prbot.core.health import Finding, failed, skipped
from prbot.core.health import forge as verdicts
from prbot.core.repo_patterns import fits
from prbot.github.client import GitHubForge
from prbot.github.survey import GitHubSurvey
from prbot.ports import Denied, Unavailable
from prbot.settings import Settings, WrongSettings
from prbot.wiring import open_forge

MOST_LOOKED_AT = 10
"""Of the repositories that fit a glob: each costs half a dozen requests."""
HOOK_PATHS = ("/webhooks/github", "/events")
_RENEW = "Make a new token with the permissions that README.md lists, and put it where the settings say."
_NO_ANSWER = "See that this host gets to PRBOT_GITHUB_API_URL (DNS, firewall, HTTPS_PROXY), then run doctor again."


def examine(settings: Settings) -> Iterator[Finding]:
    """Everything that can be read with the token. Without a usable one, only that."""
    try:
        forge = open_forge(settings)
    except (WrongSettings, Unavailable, ValueError) as problem:
        yield failed("token", str(problem), _RENEW)
        return
    try:
        yield from _greeted(settings, forge)
    finally:
        forge.close()


def _greeted(settings: Settings, forge: GitHubForge) -> Iterator[Finding]:
    try:
        login = forge.check()
    except Denied as refusal:
        yield failed("token", str(refusal), _RENEW)
        return
    except Unavailable as problem:
        # a token file that is empty or gone comes this way too, and says so itself
        advice = _RENEW if "token file" in str(problem) else _NO_ANSWER
        yield failed("GitHub", str(problem), advice)
        return
    survey = forge.survey()
    try:
        greeting = survey.greeting()
    except Unavailable as problem:
        yield skipped("clock", str(problem), "Compare the host's clock with another one yourself.")
        yield verdicts.token(login, None)
    else:
        yield verdicts.clock(datetime.now(UTC), greeting.date)
        yield verdicts.token(login, greeting.scopes)
    yield from _repositories(settings, survey)


def _repositories(settings: Settings, survey: GitHubSurvey) -> Iterator[Finding]:
    exact = [name for name in settings.repo_allowlist if not set("*?[") & set(name)]
    globs = [name for name in settings.repo_allowlist if name not in exact]
    chosen = list(exact)
    if globs:
        try:
            fitting = [repo for repo in survey.repositories() if any(fits(repo, glob) for glob in globs)]
        except Unavailable as problem:
            advice = "Name one repository exactly in PRBOT_REPO_ALLOWLIST to have it looked at."
            yield skipped("allow-list", f"the token's repositories cannot be listed: {problem}", advice)
        else:
            yield verdicts.globs(globs, len(fitting))
            chosen += fitting[:MOST_LOOKED_AT]
    base = settings.public_url.rstrip("/")
    hook_urls = tuple(base + path for path in HOOK_PATHS) if base else ()
    for repo in dict.fromkeys(chosen):
        try:
            yield from verdicts.repository(survey.repository(repo), hook_urls)
        except Unavailable as problem:
            yield verdicts.unreachable(repo, str(problem))
