"""The imperative shell: each flow gathers facts, asks the core to decide, and acts."""
