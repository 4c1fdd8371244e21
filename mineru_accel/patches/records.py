"""Every patch: its name, its texts and its two functions.

``docs/patches.md`` is made of these records: ``python -m mineru_accel.patches.docs_page > docs/patches.md``. Texts are
Markdown.
"""

from __future__ import annotations

from .doclayout_yolo import predict
from .mineru_vl_utils import lora_tokenizer
from .patch import Patch
from .vllm import (
    decode_steps,
    fast_processor,
    final_outputs,
    patch_embed,
    rocm_vit_attention,
    sparse_penalties,
    uint8_pixels,
    vit_fused,
    vit_graphs,
)

PATCHES: tuple[Patch, ...] = (
    Patch(
        name="vllm-patch-embed",
        package="vllm",
        versions=">=0.11,<0.29",
        replaces="`Conv3dLayer`, through `CustomOp.register_oot`; in vLLM 0.11.0 `Qwen2VisionPatchEmbed.forward` (an "
        "`nn.Conv3d`).",
        why="A Conv3d whose stride is its kernel is a matrix product. cuDNN's and MIOpen's Conv3d take 20 to 30 times "
        "as long as that product.",
        how="`accel_kernels.patch_embed` multiplies: with `F.linear`, or with its own Triton kernel where "
        "`mineru-accel tune` found that faster. The kernel is for AMD: on NVIDIA it reaches 0.75 to 0.8 of cuBLAS's "
        "rate.",
        measured="The product alone on an H200, bfloat16, 43808 image patches: 5.21 ms as `F.conv3d`, 0.196 ms as "
        "`F.linear`. From vLLM 0.19.1 on with torch 2.9 or newer the patch is not needed: vLLM multiplies itself.",
        upstream="[vLLM #27406](https://github.com/vllm-project/vllm/issues/27406), "
        "[PyTorch #166122](https://github.com/pytorch/pytorch/issues/166122).",
        remove_when="Nobody runs vLLM < 0.19.1 or torch < 2.9.",
        check=patch_embed.check,
        install=patch_embed.install,
    ),
    Patch(
        name="vllm-fast-processor",
        package="vllm",
        versions=">=0.27,<0.29",
        replaces="`Qwen2VLMultiModalProcessor.apply`, for token prompts with RGB pictures and without a processor "
        "cache.",
        why="vLLM prepares pictures in Python that holds the interpreter's lock, in the client's process: 70 % of that "
        "process's samples with vLLM 0.26. At some 240 crops a second it is saturated, and the GPU waits.",
        how="Image patches, tokens and placeholders are computed from the picture's size. Everything else goes through "
        "vLLM's own code.",
        measured="Not measured by itself on a GPU. With the patch a crop takes 0.9 ms of one core, and 0.03 ms if a "
        "worker has cut it before, as conversions do (AMD EPYC).",
        upstream="[vLLM #57531](https://github.com/vllm-project/vllm/pull/57531) leaves the dummy prompt out for "
        "another model.",
        remove_when="vLLM prepares pictures outside the interpreter's lock.",
        check=fast_processor.check,
        install=fast_processor.install,
    ),
    Patch(
        name="vllm-uint8-pixels",
        package="vllm",
        versions=">=0.27,<0.29",
        replaces="The result of `Qwen2VLMultiModalProcessor.apply`, `Qwen2VisionPatchEmbed.forward`, and the model's "
        "`input_norm`.",
        why="A still image is sent as two equal frames. The second one is copied by the processor, sent between "
        "processes, concatenated, copied to the GPU and multiplied. One frame of bytes is 0.65 MB a crop; vLLM 0.28 "
        "sends 1.3 MB, and 0.26 sent 5.2 MB of float32.",
        how="`W[:, :, 0] + W[:, :, 1]`, `1 / (255 std)` and the mean are folded into the weight and bias of "
        "`accel_kernels.patch_embed_uint8`.",
        measured="Half of the bytes. The rate doesn't change beyond its noise (151 and 161 crops/s with the patch, 158 "
        "without).",
        upstream="vLLM #50411 sends bytes since 0.27, with both frames. vLLM before 0.27 normalizes in the processor.",
        remove_when="vLLM sends one frame and folds the normalization into the patch embedding.",
        check=uint8_pixels.check,
        install=uint8_pixels.install,
    ),
    Patch(
        name="vllm-vit-fused",
        package="vllm",
        versions=">=0.19.1,<0.29",
        replaces="`Qwen2VisionTransformer.forward` and `prepare_encoder_metadata`.",
        why="Half of what the vision tower moves through memory is copies of q and k, additions, norms and "
        "activations, each a kernel of its own.",
        how="The matrix products and the attention stay vLLM's. Between them run the kernels of "
        "`accel_kernels.vision_block`.",
        measured="161 crops/s against 132 (one run). The tower alone (`mineru-accel bench tower`): 4.06 ms against "
        "4.78 for 1 crop, 11.9 against 14.1 for 4, 37.8 against 43.6 for 13, 74.3 against 89.6 for 26 (350 crops/s, "
        "498 TFLOP/s).",
        upstream="vLLM compiles Qwen2.5-VL's blocks (`compile_mm_encoder`), but not Qwen2-VL's.",
        remove_when="vLLM compiles or fuses Qwen2-VL's vision blocks.",
        check=vit_fused.check,
        install=vit_fused.install,
    ),
    Patch(
        name="vllm-vit-graphs",
        package="vllm",
        versions=">=0.27,<0.29",
        replaces="`EngineArgs.create_engine_config`, and the methods of `Qwen2VLForConditionalGeneration` that feed "
        "the encoder's CUDA graphs. For CUDA from sm_80 on.",
        why="Without graphs the host launches the tower kernel by kernel, and the GPU waits (27 % of the engine's "
        "samples with vLLM 0.26). vLLM 0.28.0's own graphs leave the normalization out: the tower gets pixels of 0 to "
        "255, and every answer is wrong.",
        how="Graphs are switched on. Pixels stay bytes until the graph, which normalizes them. Sizes of graphs grow in "
        "steps of an eighth instead of doubling, so that padding is an eighth at most.",
        measured="152 crops/s against 140 (one run), the GPU busy for 62 % of the time instead of 51 %. That graphs "
        "compute what eager code does is tested on a CPU with recorded graphs; vLLM 0.28.0's own fail that test.",
        upstream="[vLLM #55370](https://github.com/vllm-project/vllm/pull/55370) (merged after 0.28.0 for Qwen2.5-VL), "
        "[vLLM #55929](https://github.com/vllm-project/vllm/pull/55929).",
        remove_when="vLLM normalizes in Qwen2-VL's encoder graphs. What remains are the graphs' sizes, which are "
        "engine arguments.",
        check=vit_graphs.check,
        install=vit_graphs.install,
    ),
    Patch(
        name="vllm-sparse-penalties",
        package="vllm",
        versions=">=0.27,<0.29",
        replaces="`Sampler.apply_penalties` and `InputBatch._make_prompt_token_ids_cpu_tensor`.",
        why="MinerU asks for presence and frequency penalties with every crop. In each step vLLM counts tokens in two "
        "int64 tables of sequences x vocabulary, and passes over them and the logits ten times: some 6 GB for 512 "
        "sequences of Qwen2-VL's 152 000 tokens (computed, not measured).",
        how="Output tokens are kept in arrays that grow by each step's. Counts come from sorting the tokens, and "
        "logits are read and written at these tokens only, with vLLM's result to the last bit. Batches with repetition "
        "penalties go through vLLM's own code.",
        measured="Not measured on a GPU. 64 sequences on one core of a CPU: 0.17 ms instead of 327 ms. Keeping the "
        "arrays of 512 sequences of 93 tokens on average and 949 at most takes 0.8 ms of the engine's thread in each "
        "step, of 70 tokens at most 0.5 ms.",
        upstream="vLLM's second model runner keeps counts on the GPU, but takes no logits processors, which MinerU "
        "needs.",
        remove_when="MinerU's logits processor runs in vLLM's second model runner.",
        check=sparse_penalties.check,
        install=sparse_penalties.install,
    ),
    Patch(
        name="vllm-final-outputs",
        package="vllm",
        versions=">=0.27,<0.29",
        replaces="`Scheduler.update_from_output`, for requests with `output_kind=FINAL_ONLY` without stop strings and "
        "logprobs, in engines without statistics (`disable_log_stats`).",
        why="MinerU reads only the last output of each crop. But each token of each crop is packed, sent, unpacked and "
        "looked at by itself, 512 in a step, in two processes that keep the GPU waiting.",
        how="Tokens stay with the scheduler until their request is finished, and are sent with its last output, as "
        "after speculative decoding. With vLLM 0.28 tokens that don't end their request are recorded in one short "
        "loop. Outputs are vLLM's, with one exception: a client that aborts a request (`abort`, `pause_generation`) "
        "doesn't get the tokens so far.",
        measured="Not measured by itself on a GPU. A tiny model on two CPU cores, 70 tokens a crop, 512 in flight, two "
        "engines in turn, three times: the client takes 0.81, 0.86 and 0.96 ms of CPU a crop instead of 1.52, 1.72 and "
        "1.69. `update_from_output` takes 0.9 ms a step for 512 decoding sequences instead of 2.5.",
        upstream="vLLM's `stream_interval` drops outputs in the client, where each token still arrives by itself.",
        remove_when="vLLM's scheduler looks at `output_kind`.",
        check=final_outputs.check,
        install=final_outputs.install,
    ),
    Patch(
        name="vllm-decode-steps",
        package="vllm",
        versions="==0.28.0",  # parts of the scheduler are written anew, so that another version may behave differently
        replaces="`Scheduler.schedule` (of vLLM's own two schedulers), `KVCacheManager.allocate_slots`, "
        "`get_mm_features_in_window`, `InputBatch.update_async_output_token_ids`, and `GPUModelRunner`'s "
        "`_calc_mrope_positions`, `_prepare_input_ids`, `_gather_mm_embeddings` and `_bookkeeping_sync`, for sequences "
        "that decode.",
        why="In each step vLLM asks for each of 512 sequences which blocks, pictures and positions its next token "
        "needs, though the answers are known. That is a quarter of the engine's Python, which keeps the GPU waiting.",
        how="Decoding sequences are scheduled together. Whether a last block has room is looked up; the only picture "
        "of a prompt needs no search; positions, places of tokens and placeholders are written for all sequences at "
        "once. Other schedulers, drafts, LoRA, connectors, prefix caching, several cache groups and statistics go "
        "through vLLM's own code, and so does everything after one of these functions has failed once (with a "
        "warning).",
        measured="Not measured by itself on a GPU (172 crops/s without, 189 with the patch, but on different hosts). "
        "512 sequences of a tiny model with asynchronous scheduling and MinerU's penalties, one core of an AMD EPYC, "
        "this patch and `vllm-final-outputs` off and on in turn, medians of 80 steps: CPU time of a step 23.9 and 15.5 "
        "ms, some 7 of which are the model's forward, which is on the GPU elsewhere; `schedule` 4.7 and 0.9, "
        "`update_from_output` 2.7 and 0.9, inputs 2.8 and 1.1, bookkeeping 0.9 and 0.4. Steps, blocks, positions and "
        "tokens are vLLM's own: tested with its schedulers over random arrivals, pauses, aborts and preemptions, and "
        "with the answers of an asynchronous engine.",
        upstream="vLLM's second model runner (`VLLM_USE_V2_MODEL_RUNNER`) keeps positions on the GPU, but takes no "
        "logits processors, which MinerU needs.",
        remove_when="vLLM's scheduler skips what has not changed, and its second model runner takes logits processors.",
        check=decode_steps.check,
        install=decode_steps.install,
    ),
    Patch(
        name="vllm-rocm-vit-attention",
        package="vllm",
        versions=">=0.11,<0.29",
        replaces="Nothing: it sets `FLASH_ATTENTION_TRITON_AMD_ENABLE=TRUE`, which vLLM asks for on RDNA3 and RDNA4.",
        why="Without the variable vision towers run PyTorch's attention on RDNA, which is slow or materializes all "
        "scores.",
        how="The variable is set unless the user has set it, where the kernels are installed and not known to be "
        "slower. On RDNA 3.5 it stays unset if the kernels come from AITER: up to 3.7 times slower on gfx1151 "
        "(flash-attention #2392, cited).",
        measured="By the author of vLLM #32944 (cited; we have no AMD GPU): time to the first token 1.8 to 6.5 times "
        "shorter on gfx1103.",
        upstream="[vLLM #32944](https://github.com/vllm-project/vllm/pull/32944); slower on gfx1151 since AITER: "
        "[flash-attention #2392](https://github.com/Dao-AILab/flash-attention/issues/2392); "
        "[vLLM #50449](https://github.com/vllm-project/vllm/pull/50449) lets flash-attn decide.",
        remove_when="vLLM takes flash attention on RDNA without being asked (vLLM #50449).",
        check=rocm_vit_attention.check,
        install=rocm_vit_attention.install,
    ),
    Patch(
        name="mineru-vl-utils-lora-tokenizer",
        package="mineru-vl-utils",
        versions=">=0.1",
        replaces="`VllmAsyncEngineVlmClient.__init__`, in mineru-vl-utils before 0.1.14. Not needed with the version "
        "that this project installs.",
        why="It calls `tokenizer.get_lora_tokenizer()`, which vLLM dropped in 0.11: the client can't be made at all "
        "(`CachedQwen2TokenizerFast has no attribute get_lora_tokenizer`).",
        how="The tokenizer gets the method before the client calls it; it returns the tokenizer itself.",
        upstream="[MinerU #3773](https://github.com/opendatalab/MinerU/issues/3773), fixed in mineru-vl-utils 0.1.14.",
        remove_when="Nobody runs mineru-vl-utils < 0.1.14.",
        check=lora_tokenizer.check,
        install=lora_tokenizer.install,
    ),
    Patch(
        name="doclayout-yolo",
        package="doclayout-yolo",
        versions=">=0.0.4,<0.1",
        replaces="`YOLOv10DetectionPredictor.setup_model`, `preprocess` and `inference`, on a GPU. Only by name, not "
        "in `auto`.",
        why="`predict` keeps batch norms and the training head, computes in NCHW float32, and waits for the GPU at "
        "every step.",
        how="The model's weights run in `mineru_accel.layout`'s GPU runtime (fp16, fused, one graph per shape). "
        "Postprocessing, `Results` and callbacks stay the package's, and so do `augment`, `visualize`, `embed`, "
        "tensors and inputs that aren't square.",
        upstream="None: [DocLayout-YOLO](https://github.com/opendatalab/DocLayout-YOLO) has no releases since 0.0.4.",
        remove_when="The package exports a fused half-precision model itself.",
        check=predict.check,
        install=predict.install,
        auto=False,
    ),
)
"""In the order in which they are applied."""
