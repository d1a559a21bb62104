"""Plans at rest: where they are kept, and how they are encrypted on the way there."""
