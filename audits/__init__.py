"""What people decided: an append-only, hash-chained log of decisions, its fold, and freezes of it."""
