"""Episodes of sets whose classes are taken in turn, as INSID3's table of other domains has them."""

from collections.abc import Callable, Mapping, Sequence

from prompttune.protocols.episodes import Episode, EpisodeSet, Loaded
from prompttune.protocols.protocol import Options
from prompttune.protocols.sampling import Draw


def classes_in_turn(
    images: Mapping[str, Sequence[str]],
    count: int,
    options: Options,
    load: Callable[[str, int], Loaded],
) -> EpisodeSet:
    """Take the classes in turn; draw a query and its examples among the images of each.

    Args:
        images: of each class, in the order of the protocol.
        count: of episodes.
        options: seed and shots.
        load: reads an image and the class of a label.

    Raises:
        InputError: a class of one image.
    """
    draw, drawn = Draw(options.seed), []
    names = list(images)
    for number in range(count):
        label = number % len(names)
        own = images[names[label]]
        query = draw.one(own)
        others = draw.others(own, query, options.shots, f"class {names[label]}")
        drawn.append(Episode(f"{number:04}-{query}-{names[label]}", label, query, tuple(others)))
    return EpisodeSet(drawn, range(len(names)), load)
