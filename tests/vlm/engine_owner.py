"""Run as a program: owns an engine without patches, prints what it says of the pictures, then waits to be killed."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

PROMPT = "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>\nText Recognition:<|im_end|>\n"
SIZES = [(56, 56), (60, 150), (28, 400), (200, 90), (111, 77), (150, 150)]
ARGUMENTS = {"dtype": "float32", "max_num_seqs": 8, "max_model_len": 2048}
TOKENS = 150


def pictures() -> list[Any]:
    """Noise of several sizes, RGB."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(1)
    return [Image.fromarray(rng.integers(0, 256, (h, w, 3), dtype=np.uint8)) for h, w in SIZES]


async def tokens(llm: Any, picture: Any, name: str, seen: Any = lambda: None, kind: str = "CUMULATIVE") -> list[int]:
    """Greedy, `TOKENS` of them; `seen` is called whenever some have come."""
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    sampling = SamplingParams(
        temperature=0, presence_penalty=1.0, frequency_penalty=0.05, max_tokens=TOKENS, min_tokens=TOKENS,
        ignore_eos=True, output_kind=RequestOutputKind[kind],
    )  # fmt: skip
    async for output in llm.generate(
        {"prompt": PROMPT, "multi_modal_data": {"image": picture}}, sampling, f"{name}-{id(llm)}"
    ):
        last = output.outputs[0].token_ids
        seen()
    return list(last)


async def main(model: Path) -> None:
    from mineru_accel.vlm.vllm_host.supervisor import EngineSupervisor

    engine = EngineSupervisor(model, args=ARGUMENTS, patches="none")
    await engine.start()
    said = await asyncio.gather(*(tokens(engine.llm, p, str(i)) for i, p in enumerate(pictures())))
    print(json.dumps(said), flush=True)
    await asyncio.sleep(600)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
