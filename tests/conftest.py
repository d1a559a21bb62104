from __future__ import annotations

from pathlib import Path

import pytest

CORE = Path(__file__).parent / "core"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fuzz", action="store_true", help="also run the core's property tests, as `make test` does")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The core's examples answer in five seconds while one works on it; its property tests run with `--fuzz`."""
    if config.getoption("--fuzz"):
        return
    fuzzed = {item for item in items if CORE in item.path.parents and item.get_closest_marker("hypothesis")}
    items[:] = [item for item in items if item not in fuzzed]
    config.hook.pytest_deselected(items=list(fuzzed))
