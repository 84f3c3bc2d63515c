"""Lines are drawn where their points are."""

from suite_scores import content as content

from prompttune.evaluation.plot import draw_lines


def test_a_curve_is_drawn_where_its_points_are():
    color = (86, 180, 233)
    drawn = draw_lines({"cracks": [(10, 0.0), (100, 0.5), (1000, 1.0)]}, "samples")
    # the plot spans 48..610 by 372..24; on a logarithmic axis the middle point is in the middle
    for place in ((48, 372), (329, 198), (610, 24)):
        assert drawn.getpixel(place) == color
    assert drawn.getpixel((48, 100)) != color
    assert draw_lines({"cracks": [(10, 0.5)]}, "samples").getpixel((329, 198)) == color
    assert draw_lines({}, "samples").size == drawn.size
