"""Recipes of runs as small as can be."""

from dataclasses import replace

from prompttune.backbone import SegGPTConfig
from prompttune.pretraining.config import PretrainRecipe
from prompttune.pretraining.dataset import Mix
from prompttune.pretraining.optimizers import OptimizerConfig
from prompttune.pretraining.sources.pool import SetConfig

SMALL = SegGPTConfig(
    canvas=16, patch=8, dim=16, depth=2, heads=2, merge_index=0, out_indices=(0, 1),
    decoder_dim=4, pretrain_canvas=16,
)  # fmt: skip


RECIPE = PretrainRecipe(SMALL, max_steps=6, batch=4, save_every=2, workers=0, precision="32-true",
                        optimizer=OptimizerConfig(lr=1e-2))  # fmt: skip


ONE_WAY = replace(
    RECIPE, max_steps=2, batch=6, views=3, prompts=(1, 2), scenes=4,
    backbone=SegGPTConfig(
        canvas=16, patch=8, dim=16, depth=3, heads=2, out_indices=(2,), decoder_dim=4,
        pretrain_canvas=16, one_way=True, apart=2, class_token=True, match_indices=(1,),
        image_indices=(0,), pixel_dim=2,
    ),
    optimizer=OptimizerConfig(name="adamw", lr=1e-2, layer_decay=0.5),
    mix=Mix(generated=0.3, unlabeled=0.2, appearance=0.2, overlaid=0.2, contours=0.2),
    sets=[SetConfig("set")],
)  # fmt: skip
