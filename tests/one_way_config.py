"""Sizes of a one-way network as small as can be."""

from prompttune.backbone import SegGPTConfig

ONE_WAY = SegGPTConfig(
    canvas=16, patch=8, dim=16, depth=4, heads=2, out_indices=(2, 3), decoder_dim=4,
    pretrain_canvas=16, one_way=True, apart=2, class_token=True, match_indices=(0,),
    image_indices=(1,), pixel_dim=2,
)  # fmt: skip
