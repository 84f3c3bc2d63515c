"""CVAT's XML gives the pixels that were drawn."""

from pathlib import Path

import numpy as np
from drawn import HEIGHT, INSIDE, WIDTH, image, only_map, tilted_oval

from prompttune.data.layouts import find_split

XML = f"""<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version>
<image id="0" name="photo.png" width="{WIDTH}" height="{HEIGHT}">
 <polygon label="crack" points="4,5;24,5;24,15;4,15" z_order="0"/>
 <mask label="hole" rle="1, 2, 1" left="30" top="2" width="2" height="2" z_order="0"/>
 <box label="crack" xtl="34" ytl="16" xbr="38" ybr="19" z_order="0"/>
</image></annotations>"""


def test_cvats_xml(tmp_path: Path) -> None:
    image(tmp_path / "images" / "photo.png")
    (tmp_path / "annotations.xml").write_text(XML)
    expected = INSIDE.astype(np.uint8)
    expected[2, 31] = expected[3, 30] = 2
    expected[16:19, 34:38] = 255
    np.testing.assert_array_equal(only_map(tmp_path, "crack", "hole"), expected)
    assert "is a box alone" in find_split(tmp_path, classes=("crack", "hole")).notes[0]


def test_what_was_turned_in_cvat_lies_turned(tmp_path: Path) -> None:
    image(tmp_path / "images" / "photo.png")
    (tmp_path / "annotations.xml").write_text(
        f"""<annotations><image id="0" name="photo.png" width="{WIDTH}" height="{HEIGHT}">
        <ellipse label="crack" cx="15" cy="10" rx="8" ry="3" rotation="30"/>
        <box label="crack" xtl="27" ytl="8" xbr="37" ybr="12" rotation="90"/>
        </image></annotations>"""
    )
    found = only_map(tmp_path, "crack")
    assert ((found == 1) != tilted_oval()).sum() <= 2
    box = np.zeros_like(INSIDE)
    box[5:15, 30:34] = True
    np.testing.assert_array_equal(found == 255, box)
