"""Queues of work. Every implementation keeps to `tests/jobs/conformance.py`."""
