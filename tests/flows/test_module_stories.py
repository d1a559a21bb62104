"""Private modules: `init` alone reads them, with a token for listed hosts."""

from __future__ import annotations

from pathlib import Path

from tests.flows.app import Story, story, tf
from tests.flows.conftest import check_afterwards

MODULE = """
variable "v" {}
resource "terraform_data" "x" {
  input = var.v
}
output "v" {
  value = terraform_data.x.output
}
"""


def calling(app: Story, backend: str) -> str:
    source = f"git::{app.world.url}/acme/modules.git//thing"
    return backend + f'\nmodule "m" {{\n  source = "{source}"\n  v = 1\n}}\noutput "v" {{\n  value = module.m.v\n}}\n'


def test_a_private_module_is_read_with_the_module_token(tmp_path: Path) -> None:
    token = tmp_path / "module.token"
    token.write_text("not known yet\n".replace(" ", "-"))
    token.chmod(0o600)
    with story(tmp_path, module_token_file=token) as app:
        modules = app.repo("acme/modules", {"thing/main.tf": MODULE})
        modules.grant("modules-reader", "read")
        infra = app.repo()
        pull = infra.open_pull(by="al", files={"net/main.tf": calling(app, infra.backend("net"))})
        app.settle()
        assert "could not download module" in pull.comments()[-1].body.lower().replace("failed to", "could not")
        secret = app.world.token_for("modules-reader")
        token.write_text(secret)  # rotated: counts from the next init on
        pull.comment(by="al", body="prbot plan")
        app.settle()
        assert app.runs(pull)[-1].status == "planned", app.runs(pull)[-1].error
        assert secret not in app.everything_kept()
        assert secret not in "".join(comment.body for comment in pull.comments())
        check_afterwards(app)


def test_without_a_token_private_modules_are_not_read_and_nobody_is_asked(app: Story) -> None:
    app.repo("acme/modules", {"thing/main.tf": MODULE})
    infra = app.repo()
    pull = infra.open_pull(by="al", files={"net/main.tf": calling(app, infra.backend("net"))})
    app.settle()
    assert app.runs(pull)[-1].status == "errored"
    assert "terminal prompts disabled" in " ".join(pull.comments()[-1].body.split())


def test_modules_come_by_no_program_and_from_no_file_of_the_server(app: Story) -> None:
    infra = app.repo()
    for number, source in enumerate(
        ("git::ext::touch pwned", f"git::file://{app.root}/data/git/mirrors/acme/infra.git")
    ):
        main = infra.backend(f"p{number}") + f'\nmodule "m" {{\n  source = "{source}"\n}}\n'
        pull = infra.open_pull(by="al", files={f"p{number}/main.tf": main, f"p{number}/other.tf": tf("", v=1)})
        app.settle()
        assert app.runs(pull)[-1].status == "errored", source
    assert not list(app.root.rglob("pwned"))
