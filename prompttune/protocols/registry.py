"""All benchmarks by their names; the module of a set is imported when it is asked for."""

from importlib import import_module

from prompttune.protocols.protocol import Protocol
from prompttune.utils.errors import InputError, suggest

NAMES = {
    "pascal-5i": ("pascal_5i", "PROTOCOL"),
    "coco-20i": ("coco_20i", "PROTOCOL"),
    "fss-1000": ("fss_1000", "PROTOCOL"),
    "lvis-92i": ("lvis_92i", "PROTOCOL"),
    "pascal-part": ("pascal_part", "PROTOCOL"),
    "paco-part": ("paco_part", "PROTOCOL"),
    "davis-2016": ("davis", "DAVIS_2016"),
    "davis-2017": ("davis", "DAVIS_2017"),
    "youtube-vos-2018": ("late_videos", "YOUTUBE_VOS"),
    "mose": ("late_videos", "MOSE"),
    "ade20k": ("ade20k", "PROTOCOL"),
    "coco-panoptic": ("coco_panoptic", "PROTOCOL"),
    "drive": ("retinas", "DRIVE"),
    "chase": ("retinas", "CHASE"),
    "stare": ("retinas", "STARE"),
    "hrf": ("retinas", "HRF"),
    "isaid-5i": ("isaid_5i", "PROTOCOL"),
    "loveda": ("loveda", "PROTOCOL"),
    "isic": ("other_domains", "ISIC"),
    "chest-xray": ("other_domains", "CHEST_XRAY"),
    "suim": ("other_domains", "SUIM"),
}
"""Of each benchmark the module in `prompttune.protocols.sets`, and its name there."""


def find_protocol(name: str) -> Protocol:
    """Return the benchmark of a name.

    Raises:
        InputError: there is none.
    """
    if name not in NAMES:
        raise InputError(f"unknown benchmark '{name}'.{suggest(name, NAMES)}")
    module, constant = NAMES[name]
    return getattr(import_module(f"prompttune.protocols.sets.{module}"), constant)
