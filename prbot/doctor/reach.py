"""Whether GitHub's deliveries come through: the public URL is asked as GitHub would ask it."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Iterator, Mapping

import requests

from prbot.core.health import Finding
from prbot.core.health import reach as verdicts
from prbot.core.health.reach import Answer
from prbot.settings import Settings

HOOK_PATH = "/webhooks/github"
_SECONDS = 10.0


def examine(settings: Settings) -> Iterator[Finding]:
    """The public URL, and a signed ping to it once it leads to prbot."""
    url = settings.public_url.rstrip("/")
    if not url:
        yield verdicts.no_public_url()
        return
    local = _ask("GET", f"http://{_reachable(settings.bind)}/healthz", proxies=False)
    public = _ask("GET", f"{url}/healthz")
    yield verdicts.public_url(url, local, settings.bind, public)
    if public.is_prbot:
        yield verdicts.ping(url + HOOK_PATH, _ping(url + HOOK_PATH, settings.webhook_secrets[0]))


def _reachable(bind: str) -> str:
    host, _, port = bind.rpartition(":")
    anywhere = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104  # where a server listens, not where we do
    return f"{anywhere.get(host, host)}:{port}"


def _ping(hook_url: str, secret: str) -> Answer:
    body = json.dumps({"zen": "Asked by prbot doctor.", "hook": {"type": "Repository"}}).encode()
    headers = {
        "Content-Type": "application/json",
        "X-GitHub-Event": "ping",
        "X-GitHub-Delivery": f"doctor-{secrets.token_hex(8)}",
        "X-Hub-Signature-256": "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest(),
    }
    return _ask("POST", hook_url, body, headers)


def _ask(
    method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None, *, proxies: bool = True
) -> Answer:
    with requests.Session() as session:
        session.trust_env = proxies
        try:
            with session.request(
                method, url, data=body, headers=headers, timeout=_SECONDS, allow_redirects=False
            ) as got:
                return Answer(got.status_code, _is_prbot(got), location=got.headers.get("Location", ""))
        except requests.Timeout:
            return Answer(0, problem=f"no answer within {_SECONDS:.0f} s")
        except requests.exceptions.SSLError as error:
            return Answer(0, problem=f"its certificate is not accepted: {_reason(error)}")
        except requests.RequestException as error:
            return Answer(0, problem=_reason(error))


def _is_prbot(got: requests.Response) -> bool:
    try:
        said = got.json()
    except ValueError:
        return False
    return got.status_code == 200 and isinstance(said, dict) and said.get("ok") is True and "version" in said


def _reason(error: requests.RequestException) -> str:
    """The innermost cause in a few words: what is around it repeats the address."""
    cause: object = error.args[0] if error.args else error
    cause = getattr(cause, "reason", cause)
    said = str(cause).rpartition(": ")[2] if "] " not in str(cause) else str(cause).rpartition("] ")[2]
    return said[:200].rstrip(")'\"") or type(error).__name__
