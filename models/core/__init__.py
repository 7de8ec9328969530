"""The canonical tables: typed, renamed, counted once."""
