"""What prbot knows: SQLModel tables, one module an aggregate, and the only place that writes SQL about them."""
