"""A world to write into, and small economies that are played already."""

from pathlib import Path

import pytest

from guelta.lake import Lake

from .economy import play
from .world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(Lake(tmp_path / "lake"))


@pytest.fixture
def an_economy(world: World) -> World:
    return play(world)


@pytest.fixture(scope="session")
def a_built_economy(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Shared by all who only look."""
    world = play(World(Lake(tmp_path_factory.mktemp("built") / "lake")))
    world.build()
    return world
