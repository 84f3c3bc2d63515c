"""Recipes: one YAML a task in `recipes/tasks/`; a command line can override every value of it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from prompttune.data.class_names import UNNAMED, class_names
from prompttune.utils.bounds import BOUNDS, check
from prompttune.utils.errors import InputError, suggest, warn
from prompttune.utils.paths import shipped_folder
from prompttune.utils.recipe_reader import convert_fields, read_mapping
from prompttune.utils.renamed import names_of_today, takes_old_names

if TYPE_CHECKING:
    from prompttune.data.mask_forms import MaskOptions
    from prompttune.data.reading import ImageOptions

READING = (
    "mask_kind", "colors", "mask_pattern", "resize_masks", "crowds", "group_by", "bands", "stretch",
    "pages", "image_size", "category_ids",
)  # fmt: skip
"""Fields that tell how files are read; a key keeps them where they are not the default."""
FOUND = ("image_size", "category_ids")
"""Those of them that the data tells."""


@takes_old_names(colour_weight="color_weight")
@dataclass(frozen=True)
class Recipe:
    """What tuning does for one task. Lengths are canvas pixels; colors and rates, pixel space."""

    task: str
    """Name of the task."""
    classes: tuple[str, ...] = UNNAMED
    """Foreground classes; class map value i is the i-th."""
    mask_values: dict[int, int] | None = None
    """From a mask file's value to its class index, where the files' own rule does not fit."""
    mask_kind: Literal["auto", "index", "gray", "instances", "alpha", "colors"] = "auto"
    """What the masks' values are, where it cannot be seen."""
    colors: str | None = None
    """Of colored masks: crack=#ff0000,pothole=#00ff00 (background and ignore may be named too)."""
    mask_pattern: str | None = None
    """A mask's file name with {stem} for its image's: {stem}_mask.png."""
    resize_masks: bool = False
    """Scale masks of another size than their images to these."""
    crowds: Literal["auto", "objects", "ignore"] = "auto"
    """COCO's crowds: things like others, or not counted (auto: by who wrote the file)."""
    group_by: str | None = None
    """A regular expression, or a column of a list: images for which it gives one text stay
    together."""
    bands: str | None = None
    """Of images with several: one, or three for red, green, blue, counted from 1: 4,3,2."""
    stretch: str | None = None
    """What of deep images becomes black to white: LOW,HIGH, full or image (each its own)."""
    pages: str | None = None
    """Of stacks: these pages alone, counted from 1, as 3,5-9 (default: all)."""
    image_size: tuple[int, int] | None = None
    """Width and height of the usual training image, pixels; found when tuning."""
    category_ids: dict[str, int] | None = None
    """The annotations' own numbers of their categories, by name; found when tuning."""
    scale: float = 1.0
    """Canvas pixels per image pixel: how large a part of an image one canvas shows."""
    min_canvas: int = 0
    """Side of the learned prompt, pixels, where the backbone's own canvas is smaller."""
    generator: Literal["fundus", "contours", "text", "stuff", "instances"] | None = None
    """What makes images where no data is given, and the starting prompt with `init: generated`."""
    init: Literal[
        "noise", "kaiming", "generated", "best-generated",
        "example", "best-example", "mean", "mosaic",
    ] = "noise"  # fmt: skip
    """Where the prompt starts. The last four keep (a mixture of) training images in the key."""
    prompts: int = 1
    """Number of learned prompts in the key (a feature ensemble if more than one)."""
    group: int = 6
    """Classes that one prompt carries at most: more are shared by several; 0: no limit."""
    groups_a_step: int = 0
    """Groups that learn at a step, in turn, those first that the batch shows; 0: all of them."""
    learn: Literal["both", "image", "colors"] = "both"
    """Which half of the prompt is learned."""
    bounded: bool = True
    """Keep learned pixels in [0, 1], so that the key is a picture."""
    seg_type: Literal[0, 1] = 0
    """Type token: 0 semantic, 1 instance."""
    type_lr: float = 0.0
    """Peak learning rate of a shift of the type token, which the key keeps; 0: not learned."""
    jitter: float = 0.0
    """Standard deviation of noise on the prompt at every step."""
    dropout: float = 0.0
    """Share of the prompt's values that are dropped at every step."""
    max_steps: int = 400
    """Optimizer steps."""
    companion: float = 0.0
    """Steps that a small network beside the prompt learns, for each step of tuning and each group
    of classes; 0: none."""
    batch: int = 8
    """Query crops a step."""
    augment: bool = True
    """Flip, turn, rescale and recolor the query crops."""
    flips: bool = True
    """Whether that mirrors and quarter-turns them; not where a class is left, right or upright."""
    lr: float = 0.02
    """Peak learning rate, pixel space."""
    weight_decay: float = 0.0
    """Decoupled weight decay; it pulls pixels to black."""
    ema: float = 0.0
    """Decay of the averaged prompt that is validated and kept; 0: the prompt itself."""
    warmup: float = 0.05
    """Share of the steps in which the rate rises; it falls along a cosine afterwards."""
    dice_weight: float = 1.0
    """Weight of the Dice term on the decoded soft mask."""
    color_weight: float = 0.2
    """Weight of the paper's smooth-L1 on the colors."""
    foreground_weight: float = 1.0
    """Weight of colored pixels in that smooth-L1; the background's is 1."""
    beta: float = 1.0
    """Of that smooth-L1, in ImageNet-normalized units (the paper's is 0.01)."""
    val_every: int = 50
    """Steps between validations."""
    patience: int = 0
    """Validations without a better Dice after which tuning ends early; 0: never."""
    val_crops: int = 48
    """Crops of the validation images that choose the best prompt."""
    val_fraction: float = 0.2
    """Share of the training images that is held out for validation."""
    overlap: float = 0.25
    """Of neighboring tiles at prediction."""
    score: Literal["dice", "boundary", "pq"] = "dice"
    """What the table shows besides: boundary F at 2 pixels, or PQ of insides with borders."""
    seed: int = 0
    """Of the split, the crops and the starting prompt."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "classes", class_names(self.classes))
        if self.image_size is not None:
            object.__setattr__(self, "image_size", tuple(self.image_size))
        for one in fields(self):
            if one.name in BOUNDS and one.name != "classes":
                check(one.name, getattr(self, one.name), f"recipe: {one.name}")
        check("classes", len(self.classes), "recipe: classes")
        if self.init == "generated" and self.generator is None:
            raise InputError(
                "recipe: init 'generated' needs a generator; use init 'noise' or 'example'"
            )
        weights = self.dice_weight, self.color_weight
        if sum(weights) == 0:
            raise InputError(f"recipe: dice_weight, color_weight = {weights}; one must be above 0")

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON-able values; of `READING` those that are not the default."""
        usual = {one.name: one.default for one in fields(self)}
        values = asdict(self) | {"classes": list(self.classes)}
        if self.image_size is not None:
            values["image_size"] = list(self.image_size)
        return {
            name: value
            for name, value in values.items()
            if name not in (*READING, "score", "groups_a_step", "flips") or value != usual[name]
        }

    def mask_options(self) -> "MaskOptions":
        """Return how masks are understood.

        Raises:
            InputError: colors that are none, or of names that are no classes.
        """
        from prompttune.data.mask_forms import MaskOptions
        from prompttune.data.masks import parse_colors

        colors = None if self.colors is None else parse_colors(self.colors, self.classes)
        return MaskOptions(self.mask_kind, self.mask_values, colors, self.resize_masks)

    def image_options(self) -> "ImageOptions":
        """Return how the numbers of images become colors.

        Raises:
            InputError: bands or a stretch that are none.
        """
        from prompttune.data.reading import ImageOptions

        return ImageOptions.of(self.bands, self.stretch)


AUTO: Literal["auto"] = "auto"
"""In place of a scale: the images choose it (`prompttune.workflows.scale`)."""
SCALED_BY_IMAGES = ("custom",)
"""Tasks whose scale the images choose where nobody gives one: it is not known what they show."""
RENAMED = {"colour_weight": "color_weight"}
"""Fields by the names that they had in version 0.1: taken for one version, with a warning."""
_VALUES = {("learn", "colours"): "colors", ("mask_kind", "grey"): "gray"}


def current(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields and values by their names of today.

    Args:
        values: some fields of a recipe, perhaps by the names of version 0.1.

    Returns:
        The same, in their order.

    Raises:
        InputError: one field by both of its names.
    """
    found = names_of_today(values, RENAMED)
    for old in values.keys() & RENAMED.keys():
        warn(f"{old} is called {RENAMED[old]} now; the next version forgets {old}", once=old)
    for name, value in found.items():
        if isinstance(value, str) and (name, value) in _VALUES:
            found[name] = _VALUES[name, value]
            warn(f"{name} {value} is called {found[name]} now", once=f"{name} {value}")
    return found


def task_names() -> tuple[str, ...]:
    """Return the tasks that have a recipe."""
    return tuple(sorted(path.stem for path in _folder().glob("*.yaml")))


def recipe_values(task: str) -> dict[str, Any]:
    """Read a task's YAML.

    Args:
        task: its name, see `task_names`.

    Returns:
        The fields that the recipe sets, in the types of `Recipe`, and `task`.

    Raises:
        InputError: Unknown task, or a file that is no mapping of recipe fields.
    """
    if task not in task_names():
        raise InputError(f"unknown task '{task}'.{suggest(task, task_names())}")
    path = _folder() / f"{task}.yaml"
    values = read_mapping(path)
    try:
        return {"task": task} | convert_fields(Recipe, current(values))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def load_recipe(task: str, overrides: Mapping[str, Any] | None = None) -> Recipe:
    """Return a task's recipe, with some fields replaced.

    Raises:
        InputError: As `recipe_values`, or a value that makes no sense.
    """
    return Recipe(**(recipe_values(task) | convert_fields(Recipe, current(overrides or {}))))


def _folder() -> Path:
    return shipped_folder("recipes") / "tasks"
