"""The numbers that a user's own COCO file gives to its images and categories."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from prompttune.data.annotations.coco_file import CocoFile
from prompttune.outputs.instances import coco_image_id
from prompttune.utils.errors import InputError, suggest, warn
from prompttune.utils.malformed import MALFORMED


@dataclass(frozen=True)
class CocoIds:
    """From images and classes to the numbers that results name them by."""

    categories: Mapping[str, int] = field(default_factory=dict)
    """By class; others are counted from 1 in the order of the classes."""
    images: Mapping[str, int | str] = field(default_factory=dict)
    """By file name, by path as the file has it, and by stem."""

    @classmethod
    def read(cls, file: Path, classes: Sequence[str]) -> "CocoIds":
        """Read a COCO file.

        Args:
            file: with `images` and `categories`.
            classes: of the prompt; each must be a category.

        Raises:
            InputError: no such file, another kind of file, or a class that is no category.
        """
        try:
            content = CocoFile.parse(file.read_bytes(), f"--coco {file}", annotated=False)
            categories = {one.name: int(one.id) for one in content.categories}
        except FileNotFoundError:
            raise InputError(f"--coco {file}: no such file") from None
        except InputError:
            raise
        except MALFORMED as error:
            raise InputError(f"--coco {file}: no COCO annotations ({error!r})") from None
        for name in classes:
            if name not in categories:
                raise InputError(
                    f"--coco {file}: no category is called '{name}'.{suggest(name, categories)}"
                )
        images: dict[str, int | str] = {}
        for key in (lambda name: Path(name).stem, lambda name: Path(name).name, str):
            images |= {key(one.file_name): one.id for one in content.images}
        return cls(categories, images)

    def image(self, path: Path) -> int | str:
        """Return an image's number; of one that the file lacks, its name (`coco_image_id`)."""
        parts = path.parts
        tails = ["/".join(parts[start:]) for start in range(len(parts))]
        for name in (*tails, path.stem):
            if name in self.images:
                return self.images[name]
        if self.images:
            warn(f"{path}: the COCO file does not name it; its results bear its own name")
        return coco_image_id(path)

    def category(self, number: int, classes: Sequence[str]) -> int:
        """Return the number of the class that is the palette's n-th."""
        return self.categories.get(classes[number - 1], number)
