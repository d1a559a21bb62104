"""`prbot config`: the settings and the rules, as they are in effect."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from prbot.settings import WrongSettings

if TYPE_CHECKING:
    from prbot.core.credentials import Credential, CredentialHalf
    from prbot.core.rule_sets import Effective, RuleSet

config_app = typer.Typer(help="The server's settings and rules.", no_args_is_help=True)

Config = Annotated[Path | None, typer.Option("--config", help="The settings file.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object.")]


@config_app.command("check")
def check(config: Config = None, as_json: AsJson = False) -> None:
    """Check the settings and the rules file, and print the settings in effect, secrets masked."""
    from prbot.rules_file import RulesFile
    from prbot.wiring import read_settings

    settings = read_settings(config)
    RulesFile(settings.rules)
    shown = settings.model_dump(mode="json")
    if as_json:
        print(json.dumps(shown))
        return
    for name, value in shown.items():
        print(f"PRBOT_{name.upper()}={','.join(value) if isinstance(value, list) else '' if value is None else value}")


@config_app.command("show")
def show(
    repo: Annotated[str, typer.Argument(help="OWNER/NAME")], config: Config = None, as_json: AsJson = False
) -> None:
    """Print the rules in force for a repository, and where each comes from."""
    from prbot.core.repo_patterns import fits
    from prbot.rules_file import RulesFile
    from prbot.wiring import read_settings

    if repo.count("/") != 1 or repo.startswith("/") or repo.endswith("/"):
        raise WrongSettings(f"{repo}: expected OWNER/NAME, such as acme/infra")
    settings = read_settings(config)
    rules = RulesFile(settings.rules).now
    allowed_by = next((glob for glob in settings.repo_allowlist if fits(repo, glob)), None)
    if as_json:
        print(json.dumps(_document(repo, allowed_by, settings.rules, rules)))
        return
    allowed = f"on the allow-list, by {allowed_by}" if allowed_by else "not on the allow-list: prbot ignores it"
    print(f"{repo}: {allowed}\nrules: {settings.rules or 'no file; all are defaults'}  {rules.digest}\n")
    rows = [(each.key, _spoken(each.value), _from(each, settings.rules)) for each in rules.explain(repo)]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for key, value, origin in rows:
        print(f"{key:{widths[0]}}  {value:{widths[1]}}  {origin}")
    for use in rules.of(repo).credentials:
        places = f"dirs {', '.join(use.dirs)}; workspaces {', '.join(use.workspaces)}"
        print(f"\ncredential {use.name}: {places}\n{_halves(rules.credentials[use.name])}")


def _document(repo: str, allowed_by: str | None, file: Path | None, rules: RuleSet) -> dict[str, Any]:
    return {
        "repo": repo,
        "allowed": allowed_by is not None,
        "allowed_by": allowed_by,
        "file": None if file is None else str(file),
        "digest": rules.digest,
        "rules": {each.key: {"value": each.value, **_origin(each)} for each in rules.explain(repo)},
        "credentials": [
            {**use.model_dump(mode="json"), **_sources(rules.credentials[use.name])}
            for use in rules.of(repo).credentials
        ],
    }


def _origin(rule: Effective) -> dict[str, Any]:
    return {"line": rule.origin.line, "match": rule.origin.match} if rule.origin else {"default": True}


def _from(rule: Effective, file: Path | None) -> str:
    return f"{file}:{rule.origin.line} {rule.origin.match}" if rule.origin else "default"


def _spoken(value: Any) -> str:
    """As the rules file would have it."""
    if isinstance(value, list):
        return f"[{', '.join(each['name'] if isinstance(each, dict) else str(each) for each in value)}]"
    return value if isinstance(value, str) else json.dumps(value)


def _halves(credential: Credential) -> str:
    return "\n".join(f"  {phase}: {', '.join(kinds) or 'nothing'}" for phase, kinds in _sources(credential).items())


def _sources(credential: Credential) -> dict[str, list[str]]:
    """Which kinds of sources each half has, never what they hold."""
    return {"plan": _kinds(credential.plan), "apply": _kinds(credential.apply)}


def _kinds(half: CredentialHalf) -> list[str]:
    return [name for name in type(half).model_fields if getattr(half, name)]
