"""The server's settings: environment variables `PRBOT_…`, or a YAML file with the same names, lower case, no prefix.

Read once, by wiring alone. A wrong one stops the start with a line that names it and says what is expected.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

import yaml
from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

PREFIX = "PRBOT_"


class WrongSettings(Exception):
    """The settings cannot be used; each line of the message names one and says what is expected."""


def _secrets_in(secret: str) -> tuple[str, ...]:
    parts = tuple(secret.split())
    if not parts or min(map(len, parts)) < 8:
        raise ValueError("at least 8 characters each")
    return parts


def is_loopback(url: str) -> bool:
    """Whether a URL's host is this machine's own."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Settings(BaseSettings):
    """Everything that an operator can say to the server. See docs/settings.md."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", validate_default=True)

    bind: str = Field("127.0.0.1:4242", pattern=r"^(\[[0-9a-fA-F:]+\]|[^\s:]+):\d{1,5}$", description="host:port")
    public_url: str = Field("", description="how people reach this server, for links in comments")
    data_dir: Path = Field(Path("prbot-data"), description="a directory that prbot may write")
    database_url: str = Field("", description="sqlite:///path; by default prbot.db in the data directory")
    plan_store: str = Field("", description="file:PATH; by default `plans` in the data directory")
    rules: Path | None = Field(None, description="the rules file (YAML)")

    github_api_url: str = Field("https://api.github.com", description="https URL of GitHub's REST API")
    github_token: SecretStr | None = Field(None, description="a token")
    github_token_file: Path | None = Field(None, description="a file that holds a token")
    github_app_id: str | None = Field(
        None, pattern=r"^\w[\w.]*$", coerce_numbers_to_str=True, description="a GitHub App's id, or client id"
    )
    github_app_key_file: Path | None = Field(None, description="the App's private key (.pem)")
    ca_file: Path | None = Field(
        None, description="certificates (PEM) to verify GitHub's server by, in place of the system's"
    )
    github_webhook_secret: SecretStr | None = Field(
        None, description="the webhook's secret; two while rotating, with a space between"
    )
    github_webhook_secret_file: Path | None = Field(None, description="a file that holds the webhook's secret")
    repo_allowlist: Annotated[tuple[str, ...], NoDecode] = Field(
        description="owner/name globs, comma-separated, such as acme/*"
    )
    command_prefix: Annotated[tuple[str, ...], NoDecode] = Field(
        ("prbot",), description="first word of commands; several with commas"
    )

    reconcile_seconds: int = Field(
        300, ge=5, le=86400, description="seconds from one look for what no webhook told to the next"
    )
    parallel: int = Field(
        default_factory=lambda: os.cpu_count() or 1, ge=1, le=256, description="engine processes at once"
    )
    engine: str = Field("terraform", description="terraform, tofu, or a path to one")
    provider_cache: Path | None = Field(None, description="a directory for downloaded providers")
    secret_key_file: Path | None = Field(None, description="encryption and fingerprint keys")
    audit_key_file: Path | None = Field(None, description="the key that signs the audit log's checkpoints")
    plan_env_file: Path | None = Field(None, description="environment of plans, KEY=VALUE lines")
    apply_env_file: Path | None = Field(None, description="environment of applies, KEY=VALUE lines")
    module_token_file: Path | None = Field(None, description="a file with a read-only git token, for init alone")
    module_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="hosts that the module token is for, comma-separated; by default GitHub's"
    )
    isolation: Literal["required", "off"] = Field(
        "required", description="required (by bubblewrap), or off: engines then see and may do what the server may"
    )
    isolation_network: Literal["private", "host"] = Field(
        "private", description="private, or host: engines then reach this machine's loopback and the cloud's metadata"
    )
    isolation_read: Annotated[tuple[Path, ...], NoDecode] = Field(
        (), description="what else engines may read: absolute paths, comma-separated"
    )
    isolation_write: Annotated[tuple[Path, ...], NoDecode] = Field(
        (), description="what else engines may write, such as a directory of local states"
    )

    log_format: Literal["json", "text"] = Field("json", description="json or text")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="debug, info, warning or error")

    @field_validator(
        "repo_allowlist", "command_prefix", "isolation_read", "isolation_write", "module_hosts", mode="before"
    )
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("repo_allowlist")
    @classmethod
    def _globs(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for glob in value:
            if glob.count("/") != 1:
                raise ValueError(f"{glob!r} is not owner/name")
        if not value:
            raise ValueError("name at least one repository")
        return value

    @field_validator("command_prefix")
    @classmethod
    def _words(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or any(not word.replace("-", "").replace("_", "").isalnum() for word in value):
            raise ValueError("letters, digits, - and _ only")
        return value

    @field_validator("github_webhook_secret")
    @classmethod
    def _secret(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            _secrets_in(value.get_secret_value())
        return value

    @field_validator("github_webhook_secret_file")
    @classmethod
    def _secret_file(cls, value: Path | None) -> Path | None:
        if value is not None:
            try:
                _secrets_in(value.read_text(encoding="utf-8"))
            except (OSError, UnicodeDecodeError):
                raise ValueError(f"{value} is not a text file that can be read") from None
            except ValueError as short:
                raise ValueError(f"{value}: {short}") from None
        return value

    @field_validator("github_api_url")
    @classmethod
    def _api_url(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme == "https" and parts.hostname:
            return value.rstrip("/")
        if parts.scheme == "http" and is_loopback(value):
            return value.rstrip("/")
        raise ValueError("https, or http to this machine itself")

    @field_validator("database_url")
    @classmethod
    def _database(cls, value: str) -> str:
        if value and not value.startswith("sqlite:///"):
            raise ValueError("sqlite:///path; PostgreSQL is not supported yet")
        return value

    @field_validator("plan_store")
    @classmethod
    def _plan_store(cls, value: str) -> str:
        if value and not value.startswith("file:"):
            raise ValueError("file:PATH")
        return value

    @field_validator(
        "plan_env_file", "apply_env_file", "github_token_file", "github_app_key_file", "module_token_file", "rules"
    )
    @classmethod
    def _is_file(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_file():
            raise ValueError(f"{value} is not a file that can be read")
        return value

    @field_validator("ca_file")
    @classmethod
    def _certificates(cls, value: Path | None) -> Path | None:
        if value is not None:
            try:
                ssl.create_default_context(cafile=str(value))
            except (OSError, ssl.SSLError):
                raise ValueError(f"{value} is not a file of certificates in PEM form") from None
        return value

    @model_validator(mode="after")
    def _one_credential(self) -> Self:
        by_app = self.github_app_id is not None or self.github_app_key_file is not None
        given = (self.github_token is not None, self.github_token_file is not None, by_app)
        if sum(given) != 1:
            raise ValueError(
                "exactly one of PRBOT_GITHUB_TOKEN, PRBOT_GITHUB_TOKEN_FILE, and PRBOT_GITHUB_APP_ID with "
                "PRBOT_GITHUB_APP_KEY_FILE is needed"
            )
        if by_app and (self.github_app_id is None or self.github_app_key_file is None):
            raise ValueError("PRBOT_GITHUB_APP_ID and PRBOT_GITHUB_APP_KEY_FILE are needed together")
        return self

    @model_validator(mode="after")
    def _one_secret(self) -> Self:
        if (self.github_webhook_secret is None) == (self.github_webhook_secret_file is None):
            name = f"{PREFIX}GITHUB_WEBHOOK_SECRET"
            raise ValueError(f"exactly one of {name} and {name}_FILE is needed")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (env_settings, init_settings)

    @property
    def webhook_secrets(self) -> tuple[str, ...]:
        """Of a file: what it holds when it is asked. WrongSettings if it cannot be read any more."""
        if self.github_webhook_secret is not None:
            return _secrets_in(self.github_webhook_secret.get_secret_value())
        try:
            return _secrets_in((self.github_webhook_secret_file or Path()).read_text(encoding="utf-8"))
        except (OSError, ValueError) as problem:
            raise WrongSettings(f"PRBOT_GITHUB_WEBHOOK_SECRET_FILE: {problem}") from None

    @property
    def git_hosts(self) -> tuple[str, ...]:
        """The hosts that the module token is for, as they were named."""
        parts = urlsplit(self.github_api_url)
        own = "github.com" if parts.netloc == "api.github.com" else f"{parts.scheme}://{parts.netloc}"
        return self.module_hosts or (own,)

    @property
    def database(self) -> str:
        return self.database_url or f"sqlite:///{self.data_dir.absolute() / 'prbot.db'}"

    @property
    def plans(self) -> Path:
        return Path(self.plan_store.removeprefix("file:")) if self.plan_store else self.data_dir / "plans"

    def engine_environment_files(self) -> tuple[Path | None, Path | None]:
        """The plan's and the apply's."""
        return self.plan_env_file, self.apply_env_file


def _unknown(names: set[str], known: set[str], source: str) -> list[str]:
    lines = []
    for name in sorted(names - known):
        near = difflib.get_close_matches(name, known, 1)
        lines.append(f"{source}{name}: there is no such setting" + (f"; did you mean {near[0]}?" if near else ""))
    return lines


def _explain(error: ValidationError, where: str) -> list[str]:
    lines = []
    for problem in error.errors():
        name = str(problem["loc"][0]) if problem["loc"] else ""
        said = problem["msg"].removeprefix("Value error, ")
        if not name:
            lines.append(said)
            continue
        wanted = Settings.model_fields[name].description if name in Settings.model_fields else ""
        what = "is missing" if problem["type"] == "missing" else said
        lines.append(f"{PREFIX}{name.upper()}: {what} (expected: {wanted}){where}")
    return lines


def load(config: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings. The environment wins over the file. Raises WrongSettings."""
    environ = os.environ if environ is None else environ
    known = set(Settings.model_fields)
    values: dict[str, Any] = {}
    if config is not None:
        values = _read_file(config)
    given = {n.removeprefix(PREFIX).lower() for n in environ if n.startswith(PREFIX)}
    problems = _unknown(set(values), known, f"{config}: ") + [
        line.replace(line.split(":")[0], PREFIX + line.split(":")[0].upper(), 1) for line in _unknown(given, known, "")
    ]
    if problems:
        raise WrongSettings("\n".join(problems))
    try:
        return Settings(**values)
    except ValidationError as error:
        raise WrongSettings("\n".join(_explain(error, ""))) from None


def _read_file(config: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(config.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError) as error:
        raise WrongSettings(f"--config {config}: cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise WrongSettings(f"--config {config}: not YAML: {error}") from None
    if not isinstance(values, dict) or not all(isinstance(name, str) for name in values):
        raise WrongSettings(f"--config {config}: expected `name: value` lines")
    return values
