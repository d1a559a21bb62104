"""The sweep: a worker is killed at every durable step of what it does, and each call to the forge is refused.

The steps are not listed by hand. A good run of each scenario is traced through wrappers around what the worker is
given: each transaction that changes something, and each effect on forge, git, engine and plan store. The end of one
step and the beginning of the next of the same thread are one moment; each moment is one point, called after what came
before it.

A *stage* is a world at rest just before the scenario's act: kept in a process of its own, which forks for each try, and
as a directory that each try gets a fresh copy of.
"""
