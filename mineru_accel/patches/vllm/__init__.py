"""Patches of vLLM: a file for each, named after it, and beside it files of its name for the code that it puts in place.

====================  ==========================================================================
vLLM's scheduler      :mod:`.decode_steps` (schedule), :mod:`.final_outputs` (update_from_output)
vLLM's model runner   :mod:`.decode_steps` (inputs, bookkeeping)
sampling              :mod:`.sparse_penalties`
pictures              :mod:`.fast_processor`, :mod:`.uint8_pixels`
vision tower          :mod:`.patch_embed`, :mod:`.vit_fused`, :mod:`.vit_graphs`, :mod:`.rocm_vit_attention`
====================  ==========================================================================
"""
