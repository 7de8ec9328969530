"""The story's only source of chance."""

import random


def dice(seed: int, what: str) -> random.Random:
    """A stream of its own for each part of the story, so that a change in one part leaves the others as they were."""
    return random.Random(f"{seed}:{what}")  # noqa: S311  # a story, not a secret
