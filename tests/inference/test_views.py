"""Tiles of an image, and windows at a scale that see them."""

import pytest
import torch

from prompttune.inference.views import Tile, View, spread_tiles


def test_tiles_stand_for_the_whole_image() -> None:
    foreground = torch.zeros(100, 90, dtype=torch.bool)
    foreground[55, 12] = True
    tiles = spread_tiles(foreground, 10, 8)
    assert len(tiles) == 8
    assert sum(tile.weight for tile in tiles) == pytest.approx(90)
    shown = [tile for tile in tiles if tile.place == (50, 10)]
    assert [tile.weight for tile in shown] == [1], "the only one with foreground is taken"
    assert len(spread_tiles(foreground, 40, 100)) == 9, "no more than cover the image"


def test_large_tiles_are_read_sparsely() -> None:
    rows, columns = Tile((10, 20), (3000, 5)).points()
    assert len(rows) <= 256
    assert columns.tolist() == [20, 21, 22, 23, 24]


@pytest.mark.parametrize("zoom", [(0.5, 0.5), (1.0, 1.0), (2.0, 2.0), (0.16, 0.4)])
@pytest.mark.parametrize("place", [(0, 0), (40, 10), (84, 24)])
def test_a_tile_is_read_where_a_view_shows_it(
    zoom: tuple[float, float], place: tuple[int, int]
) -> None:
    ramp = torch.stack(
        torch.meshgrid(torch.arange(100.0), torch.arange(40.0), indexing="ij")
    )  # each pixel tells its row and column
    image = torch.cat((ramp, ramp[:1])) / 100
    tile = Tile(place, (16, 16))
    view = View.of(image, tile, zoom, 16)
    assert view.pixels.shape == (3, 16, 16)
    read = view.scores_of(tile, view.pixels)
    rows, columns = slice(place[0], place[0] + 16), slice(place[1], place[1] + 16)
    inside = slice(4, 12)  # a window ends where the tile does at twice the size
    if zoom[0] > 1:
        read, rows = read[:, inside, inside], slice(place[0] + 4, place[0] + 12)
        columns = slice(place[1] + 4, place[1] + 12)
    assert (read - image[:, rows, columns]).abs().max() < 0.03
