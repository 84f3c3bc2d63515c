"""Tables as Markdown has them."""

from prompttune.utils.markdown import table


def test_cells_stand_in_their_columns() -> None:
    assert table(["a", "b"], [["1", "x|y"]], "r") == "| a | b |\n| ---: | --- |\n| 1 | x\\|y |"
