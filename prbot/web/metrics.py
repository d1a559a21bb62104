"""`/metrics` for Prometheus: read from the database when asked, so that every process shows the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from flask import Blueprint, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlmodel import Session

from prbot.flows.services import Services
from prbot.store import overview


def blueprint(services: Services) -> Blueprint:
    """The address that Prometheus asks."""
    web = Blueprint("metrics", __name__)
    registry = CollectorRegistry()
    registry.register(_FromDatabase(services))
    ProcessCollector(registry=registry)

    @web.get("/metrics")
    def metrics() -> Response:
        return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)

    return web


class _FromDatabase(Collector):
    def __init__(self, services: Services) -> None:
        self._services = services

    def describe(self) -> Iterable[Metric]:
        """Nothing, so that registering does not ask the database."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Every gauge, all of one moment."""
        with self._services.db.read() as tx:
            found = list(self._gauges(tx))
        yield from found

    def _gauges(self, tx: Session) -> Iterator[Metric]:
        yield _by("prbot_deliveries", "Deliveries received.", "outcome", overview.deliveries_by_outcome(tx))
        yield _by("prbot_runs", "Runs.", "status", overview.runs_by_status(tx))
        yield _by("prbot_jobs", "Jobs in the queue.", "state", overview.jobs_by_state(tx))
        yield _by("prbot_posts_waiting", "What is to be sent to the forge.", "kind", overview.posts_waiting(tx))
        yield GaugeMetricFamily(
            "prbot_queue_waiting_seconds", "How long the oldest job has been due.",
            overview.oldest_due_seconds(tx, self._services.db),
        )  # fmt: skip
        yield GaugeMetricFamily("prbot_projects_locked", "Projects that a pull request holds.", overview.locked(tx))
        yield GaugeMetricFamily("prbot_inbox_waiting", "Events that wait to be handled.", overview.inbox_waiting(tx))
        age = overview.seconds_since_beat(tx, self._services.db)
        yield GaugeMetricFamily("prbot_worker_up", "Whether a worker lives.", float(overview.lives(age)))


def _by(name: str, text: str, label: str, counts: dict[str, int]) -> Metric:
    gauge = GaugeMetricFamily(name, text, labels=[label])
    for value, count in sorted(counts.items()):
        gauge.add_metric([value], count)
    return gauge
