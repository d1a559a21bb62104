"""An AWS role, assumed for one run by STS. Who looks at CloudTrail sees which: session name and tags say so.

https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html: a session's name has 2 to 64 characters of
`[\\w+=,.@-]`, a tag's value at most 256 letters, digits, spaces and `_.:/=+-@`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from prbot.core.credentials import AwsRole
from prbot.credentials.env_file import EnvFile
from prbot.ports import Conflict, Denied, Purpose, Transient, Unavailable

CONNECT_SECONDS, READ_SECONDS = 5, 15
_BAD_KEYS = "the keys that it is to be assumed with are wrong or have expired"
_TRUST = "its trust policy must allow sts:AssumeRole and sts:TagSession to prbot's own identity"
_ADVICE = {
    "AccessDenied": _TRUST,
    "AccessDeniedException": _TRUST,
    "ValidationError": "its sessions may have to be shorter than `seconds` says (an hour, if prbot is a role)",
    "RegionDisabledException": "activate STS for the region in the account's settings, or name another region",
    "ExpiredToken": _BAD_KEYS,
    "ExpiredTokenException": _BAD_KEYS,
    "InvalidClientTokenId": _BAD_KEYS,
    "SignatureDoesNotMatch": _BAD_KEYS,
}
_DENIED = frozenset(_ADVICE) - {"ValidationError", "RegionDisabledException"}
_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
_NOT_IN_A_NAME = re.compile(r"[^\w+=,.@-]", re.ASCII)
_NOT_IN_A_TAG = re.compile(r"[^\w .:/=+@-]", re.ASCII)


def assumed(role: AwsRole, purpose: Purpose) -> dict[str, str]:
    """The variables that make the engine's AWS clients that role. Denied, Conflict or Transient, without a value."""
    # imported here: it takes a quarter of a second, and most servers assume no role
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

    name = session_name(purpose)
    try:
        given = _client(role).assume_role(**_request(role, purpose, name))["Credentials"]
    except ClientError as error:
        raise _refusal(f"STS refused {role.role} to the session {name}", error.response) from None
    except NoCredentialsError:
        missing = "prbot has no AWS identity of its own here; name a file with keys as the role's `source`"
        raise Conflict(f"{role.role} can't be assumed: {missing}") from None
    except BotoCoreError as error:
        raise Transient(f"STS in {role.region} could not be asked ({type(error).__name__})") from None
    return {
        "AWS_ACCESS_KEY_ID": given["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": given["SecretAccessKey"],
        "AWS_SESSION_TOKEN": given["SessionToken"],
        "AWS_REGION": role.region,
        "AWS_DEFAULT_REGION": role.region,
    }


def _request(role: AwsRole, purpose: Purpose, name: str) -> dict[str, Any]:
    said = tags(purpose)
    request: dict[str, Any] = {
        "RoleArn": role.role,
        "RoleSessionName": name,
        "DurationSeconds": role.seconds,
        "Tags": [{"Key": key, "Value": value} for key, value in said.items()],
        "TransitiveTagKeys": list(said),
    }
    return request if role.external_id is None else {**request, "ExternalId": role.external_id}


def _refusal(problem: str, response: Mapping[str, Any]) -> Unavailable:
    """What STS answered, with what to do about it."""
    code = response.get("Error", {}).get("Code", "")
    advice = f": {_ADVICE[code]}" if code in _ADVICE else ""
    if code in _DENIED:
        return Denied(f"{problem} ({code}){advice}")
    busy = code.startswith("Throttling") or response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= 500
    return (Transient if busy else Conflict)(f"{problem} ({code}){advice}")


def session_name(purpose: Purpose) -> str:
    """`prbot-<owner>-<name>-<pull>-<run>`, the middle cut where that is too long."""
    start = _NOT_IN_A_NAME.sub("-", f"prbot-{purpose.project.repo}-{purpose.pull}")
    end = _NOT_IN_A_NAME.sub("-", f"-{purpose.run}")
    return start[: 64 - len(end)] + end


def tags(purpose: Purpose) -> dict[str, str]:
    """What the session says of its run."""
    said = {
        "Repository": purpose.project.repo,
        "Project": f"{purpose.project.dir}:{purpose.project.workspace}",
        "PullRequest": str(purpose.pull),
        "Run": purpose.run,
        "Phase": purpose.phase,
        "AuditEntry": purpose.entry,
    }
    return {key: _NOT_IN_A_TAG.sub("_", value)[:256] for key, value in said.items()}


def _client(role: AwsRole) -> Any:
    import boto3
    from botocore.config import Config

    keys = _source(EnvFile(role.source).read()) if role.source is not None else {}
    config = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"total_max_attempts": 3, "mode": "standard"},
    )
    # a session of its own: boto3's default one is not made for threads
    return boto3.session.Session(region_name=role.region, **keys).client(
        "sts", endpoint_url=role.endpoint_url, config=config
    )


def _source(values: Mapping[str, str]) -> dict[str, str]:
    missing = [name for name in _KEYS[:2] if name not in values]
    if missing:
        raise Conflict(f"the file with the keys to assume it lacks {' and '.join(missing)}")
    return {name.lower(): values[name] for name in _KEYS if name in values}
