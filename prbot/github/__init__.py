"""GitHub: what its webhooks say, and how to ask and tell it things."""
