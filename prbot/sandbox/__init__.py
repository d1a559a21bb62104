"""A stateful GitHub stand-in over real HTTP, with real bare repositories behind git's own HTTP backend.

The demo and the tests share it. `prbot.sandbox.world.World` is the way in; nothing else in prbot knows this package.
"""
