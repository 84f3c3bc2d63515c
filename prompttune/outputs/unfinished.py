"""What a run that was killed kept of its tables, made into tables."""

from pathlib import Path

from prompttune.outputs.formats import AreaTable
from prompttune.outputs.reliability import ReliabilityTable
from prompttune.utils.locking import alone_in


def finish_tables(folder: Path) -> None:
    """Write the tables of a folder whose images are all done, where a killed run did not.

    Args:
        folder: of results.

    Raises:
        InputError: another run is at work in it.
    """
    if any(folder.glob(".*.csv.part")):
        with alone_in(folder):
            AreaTable().write(folder)
            ReliabilityTable().write(folder)
