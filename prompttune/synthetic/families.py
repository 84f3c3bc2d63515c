"""All families of generated shapes, and how often each is drawn."""

from prompttune.synthetic.lines import curves, loops, network, outlines, rays, ridges
from prompttune.synthetic.shapes import (
    Shape,
    blobs,
    boxes,
    chains,
    figures,
    grains,
    letters,
    polygons,
    rings,
    writing,
)
from prompttune.synthetic.surfaces import bands, marble, mosaic, regions, stripes, tiling, waves

THINGS: tuple[Shape, ...] = (
    blobs,
    boxes,
    polygons,
    rings,
    grains,
    chains,
    letters,
    writing,
    figures,
)
LINES: tuple[Shape, ...] = (curves, loops, network, rays, ridges, outlines)
FIELDS: tuple[Shape, ...] = (regions, marble, bands, stripes, waves, mosaic, tiling)
FAMILIES: tuple[Shape, ...] = (*THINGS, blobs, figures, *LINES, curves, outlines, *FIELDS)
"""Those that carry most kinds of tasks stand twice."""
