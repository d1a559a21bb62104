"""HTTP with GitHub's API by PyGithub's requester."""

from __future__ import annotations

import ipaddress
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from github.Auth import Auth
from github.Requester import Requester
from requests import RequestException, Timeout

from prbot.github.failures import Reply
from prbot.github.fields import load
from prbot.ports import Conflict, Outage

API_VERSION = "2022-11-28"
_MOST_IDLE = 16


class _Bearer(Auth):
    """The token of the request that is being made. PyGithub leaves it out of its log."""

    def __init__(self) -> None:
        self.current = ""

    @property
    def token_type(self) -> str:
        return "Bearer"

    @property
    def token(self) -> str:
        return self.current


class Connections:
    """Connections to one GitHub API, kept open between requests. Safe to use from many threads.

    `timeout`: seconds to connect, and between two pieces of a reply. The server is verified by the certificates in
    `ca_file` (PEM) instead of those that come with requests, where one is given; proxies are those of the environment.
    Raises ValueError for an `api_url` that is not https, nor plain http to this very machine.
    """

    def __init__(self, api_url: str, timeout: float = 15.0, ca_file: Path | None = None) -> None:
        self._api_url = _checked(api_url)
        self._timeout = timeout
        self._verify: bool | str = True if ca_file is None else str(ca_file)
        self._idle: deque[tuple[Requester, _Bearer]] = deque()
        self._closed = False

    @property
    def graphql_url(self) -> str:
        """Where GraphQL is asked: not below the REST API's path."""
        parts = urlsplit(self._api_url)
        return parts._replace(path=Requester.get_graphql_prefix(parts.path)).geturl()

    def exchange(
        self,
        method: str,
        url: str,
        token: str,
        query: Mapping[str, str],
        body: Mapping[str, Any] | None,
        etag: str = "",
    ) -> Reply:
        """Send one request, exactly once, and read the reply whatever its status: 304 if it is what `etag` names.

        `url` is a path below the API's, or absolute; whatever host it then names, the API's own is asked, so that the
        token goes nowhere else. Raises Outage without an intelligible reply in time, Conflict where the API's URL is
        not the one to ask.
        """
        asked = f"{method} {urlsplit(url).path}"
        headers = {"Accept": "application/vnd.github+json"} | ({"If-None-Match": etag} if etag else {})
        try:
            with self._requester(token) as requester:
                # not `…AndCheck`: it takes redirects for answers, and raises for the rest without the status
                status, replied, text = requester.requestJson(method, url, dict(query), headers, body)
            return Reply(status, replied, load(text) if text else None)
        # What these say may hold a header's value, or a page of HTML: never pass it on.
        except Timeout:
            raise Outage(f"GitHub did not answer {asked} within {self._timeout:g} s") from None
        except RequestException as error:
            raise Outage(f"no connection with GitHub for {asked} ({type(error).__name__})") from None
        except RuntimeError:
            raise Conflict(f"GitHub sends {asked} to another address: is the API's URL right?") from None
        except ValueError:
            raise Outage(f"GitHub's reply to {asked} cannot be understood") from None

    def close(self) -> None:
        """Close what is idle now, and what is in use when its request ends."""
        self._closed = True
        while self._idle:
            self._idle.pop()[0].close()

    @contextmanager
    def _requester(self, token: str) -> Iterator[Requester]:
        """A requester for one request of one thread: PyGithub keeps the request in hand on the connection itself."""
        try:
            requester, auth = self._idle.pop()
        except IndexError:
            requester, auth = self._open()
        auth.current = token
        reusable = False
        try:
            yield requester
            reusable = not self._closed and len(self._idle) < _MOST_IDLE
        finally:
            auth.current = ""
            if reusable:
                self._idle.append((requester, auth))
            else:
                requester.close()

    def _open(self) -> tuple[Requester, _Bearer]:
        auth = _Bearer()
        requester = Requester(
            auth,
            self._api_url,
            timeout=self._timeout,  # type: ignore[arg-type]  # goes to requests as it is, which takes fractions
            user_agent="prbot",
            per_page=100,
            verify=self._verify,
            retry=None,  # its own would send a POST again that may have done its work
            pool_size=1,
            seconds_between_requests=None,
            seconds_between_writes=None,
            api_version=API_VERSION,
        )
        return requester, auth


def _checked(api_url: str) -> str:
    parts = urlsplit(api_url)
    host = parts.hostname or ""
    plain_is_safe = host == "localhost" or _is_loopback(host)
    if not host or not (parts.scheme == "https" or (parts.scheme == "http" and plain_is_safe)):
        raise ValueError("GitHub's API URL must be https, or http to this machine itself")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError("GitHub's API URL must be a scheme, a host and a path alone")
    return api_url.rstrip("/")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
