"""Data that lies alone in a folder, or in several, as archives unpack."""

from pathlib import Path

from prompttune.data.folders import is_labelled
from prompttune.utils.image_files import is_hidden, is_image


def unwrapped(folder: Path) -> Path:
    """Return the folder that holds the data, where it lies alone in others, as archives unpack."""
    while folder.is_dir() and not is_labelled(folder):
        inside = [each for each in folder.iterdir() if not is_hidden(each)]
        folders = [each for each in inside if each.is_dir()]
        if len(folders) != 1 or any(is_image(each) for each in inside if not each.is_dir()):
            return folder
        if not is_labelled(folders[0]) and any(each.is_file() for each in folders[0].iterdir()):
            return folder
        folder = folders[0]
    return folder
