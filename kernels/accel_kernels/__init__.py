"""Triton kernels for page layout and vision-language models, with configurations cached by shape.

NVIDIA (compute capability 8.0 and later) and AMD (RDNA3, RDNA4, CDNA3); needs torch and triton only. On a CPU every op
runs PyTorch's own kernels, or Triton's interpreter if TRITON_INTERPRET=1 and the "triton" implementation is asked for.
"""

from .dilated_block import DilatedBlockWeights, dilated_block
from .dilated_conv2d import dilated_conv2d
from .graphs import GraphCache
from .modules import FusedDilatedBlock, FusedDilatedBottleneck, fuse_dilated
from .patch_embed import FoldedPatchWeight, fold_patch_weight, patch_embed, patch_embed_uint8
from .vision_block import add_layer_norm, quick_gelu_, rotary_qk_

__all__ = [
    "DilatedBlockWeights",
    "FoldedPatchWeight",
    "FusedDilatedBlock",
    "FusedDilatedBottleneck",
    "GraphCache",
    "add_layer_norm",
    "dilated_block",
    "dilated_conv2d",
    "fold_patch_weight",
    "fuse_dilated",
    "patch_embed",
    "patch_embed_uint8",
    "quick_gelu_",
    "rotary_qk_",
]
