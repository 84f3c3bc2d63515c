"""CVAT's XML gives the pixels that were drawn."""

from pathlib import Path

import numpy as np
from drawn import HEIGHT, INSIDE, WIDTH, image, only_map

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
