"""ImageScope's XML: regions, boxes, ellipses, holes, layers, and what cannot be read."""

from pathlib import Path

import numpy as np
import pytest
from annotating import HEIGHT, IN_BOX, WIDTH, box, only, save_image

from prompttune.data.annotated_folders import annotated_names
from prompttune.utils.errors import InputError

SQUARE = [(2, 3), (12, 3), (12, 13), (2, 13)]


def region(points: list[tuple[float, float]], kind: int = 0, hole: bool = False) -> str:
    corners = "".join(f'<Vertex X="{x}" Y="{y}" Z="0"/>' for x, y in points)
    return (
        f'<Region Id="1" Type="{kind}" NegativeROA="{int(hole)}"><Attributes/>'
        f"<Vertices>{corners}</Vertices></Region>"
    )


def layer(*regions: str, name: str = "", number: int = 1) -> str:
    inside = "".join(regions)
    return (
        f'<Annotation Id="{number}" Name="{name}" LineColor="255"><Attributes/>'
        f"<Regions><RegionAttributeHeaders/>{inside}</Regions><Plots/></Annotation>"
    )


def write(
    folder: Path, *layers: str, xml: str = "Annotations", images: str = "Tissue Images"
) -> None:
    save_image(folder / images / "TCGA-1.png")
    (folder / xml).mkdir(exist_ok=True)
    content = f'<Annotations MicronsPerPixel="0.252">{"".join(layers)}</Annotations>'
    (folder / xml / "TCGA-1.xml").write_text(content)


@pytest.mark.parametrize(("xml", "images"), [("Annotations", "Tissue Images"), (".", ".")])
def test_regions_are_polygons(tmp_path: Path, xml: str, images: str) -> None:
    write(tmp_path, layer(region(SQUARE)), xml=xml, images=images)
    np.testing.assert_array_equal(only(tmp_path).class_map, IN_BOX)


def test_boxes_ellipses_and_holes(tmp_path: Path) -> None:
    write(
        tmp_path,
        layer(
            region([(2, 3), (12, 13)], kind=1),
            region([(4, 5), (8, 5), (8, 9), (4, 9)], hole=True),
            region([(16, 4), (28, 14)], kind=2),
        ),
    )
    found = only(tmp_path).class_map
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    round_one = ((columns - 22) / 6) ** 2 + ((rows - 9) / 5) ** 2 < 1
    hole = box(np.s_[5:9], np.s_[4:8])
    np.testing.assert_array_equal(found[:, :14], (IN_BOX & ~hole)[:, :14])
    assert (found != round_one)[:, 14:].sum() <= 2


def test_a_hole_that_reaches_beyond_its_region_covers_nothing(tmp_path: Path) -> None:
    write(tmp_path, layer(region(SQUARE), region([(8, 3), (20, 3), (20, 13), (8, 13)], hole=True)))
    np.testing.assert_array_equal(only(tmp_path).class_map, box(np.s_[3:13], np.s_[2:8]))


def test_layers_are_classes(tmp_path: Path) -> None:
    far = [(20, 1), (24, 1), (24, 5), (20, 5)]
    write(
        tmp_path, layer(region(SQUARE), name="tumor"), layer(region(far), name="stroma", number=2)
    )
    found = only(tmp_path, "stroma", "tumor").class_map
    np.testing.assert_array_equal(found, 2 * IN_BOX + box(np.s_[1:5], np.s_[20:24]))
    assert annotated_names(tmp_path) == ("stroma", "tumor")


def test_layers_without_names_are_numbered(tmp_path: Path) -> None:
    write(tmp_path, layer(region(SQUARE)), layer(region(SQUARE), number=2), layer(number=3))
    with pytest.raises(InputError, match=r"of several names are annotated \(layer 1, layer 2\)"):
        only(tmp_path)


def test_rulers_are_left_out(tmp_path: Path) -> None:
    write(tmp_path, layer(region(SQUARE), region([(1, 1), (9, 9)], kind=4)))
    np.testing.assert_array_equal(only(tmp_path).class_map, IN_BOX)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (region([]), "has no corners"),
        (region([(1, 1), (5, 5)]), "a polygon needs 3 points"),
        (region(SQUARE).replace('X="2"', 'X="two"'), "could not convert|cannot be understood"),
    ],
)
def test_what_is_no_region(tmp_path: Path, content: str, match: str) -> None:
    write(tmp_path, layer(content))
    with pytest.raises(InputError, match=match) as caught:
        only(tmp_path)
    assert "TCGA-1.xml" in str(caught.value)


def test_files_without_their_image(tmp_path: Path) -> None:
    write(tmp_path, layer(region(SQUARE)))
    (tmp_path / "Tissue Images" / "TCGA-1.png").rename(tmp_path / "Tissue Images" / "other.png")
    with pytest.raises(InputError, match="there is no image of its name"):
        only(tmp_path)


def test_a_broken_file(tmp_path: Path) -> None:
    write(tmp_path, layer(region(SQUARE)))
    file = tmp_path / "Annotations" / "TCGA-1.xml"
    file.write_text(file.read_text()[:-20])
    with pytest.raises(InputError, match="is no XML"):
        only(tmp_path)
