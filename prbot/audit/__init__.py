"""The audit log: a Merkle log of canonical entries under signed checkpoints. The exact format: docs/audit-log.md."""
