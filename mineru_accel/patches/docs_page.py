"""The documentation page of the patches, made of their records.

::

    python -m mineru_accel.patches.docs_page > docs/patches.md
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from .patch import Patch
from .records import PATCHES

_WIDTH = 120
_INTRODUCTION = """\
<!-- Made of mineru_accel/patches/records.py: python -m mineru_accel.patches.docs_page > docs/patches.md -->

# Patches

Changes to other people's packages, made from outside and undone by a switch.

```sh
MINERU_ACCEL_PATCHES=auto vllm serve MODEL ...     # auto | none | name,name; unset: none
mineru-accel doctor                                # each patch's state here, and the reason
```

This project's own engine (`--engine vllm`) switches `auto` on for its processes and for no others. vLLM loads the
patches through the `vllm.general_plugins` entry point in each of its processes; the engine's workers check that again,
and the client compares their patches with its own. A patch that can't apply says why and leaves the package as it was;
none ever raises.

In Python:

```python
from mineru_accel import patches

patches.status()                  # one Status per patch: active, off, not needed, not applicable, failed
patches.apply("vllm-vit-graphs")
patches.revert("vllm-vit-graphs")
```

In the code, `mineru_accel/patches/records.py` lists the patches. Each one of vLLM has a file of its name in
`mineru_accel/patches/vllm/`, such as `decode_steps.py`; files whose names begin with that name hold the functions it
puts in place. The others are `mineru_vl_utils/lora_tokenizer.py` and `doclayout_yolo/predict.py`.

Figures are of one H200 with vLLM 0.28.0 unless said otherwise; [all of them together](patches-measured.md) have their
own page, with how they are measured.
"""


def render(patches: Iterable[Patch] = PATCHES) -> str:
    """The page, Markdown."""
    return "\n".join([_INTRODUCTION, *map(_section, patches)])


def _section(patch: Patch) -> str:
    items = {
        "Package": f"{patch.package} `{patch.versions}`",
        "Replaces": patch.replaces,
        "Why": patch.why,
        "How": patch.how,
        "Measured": patch.measured or "Nothing.",
        "Upstream": patch.upstream,
        "Remove when": patch.remove_when,
    }
    lines = [_item(f"- **{name}:** {text}") for name, text in items.items()]
    return "\n".join([f"## {patch.name}", "", *lines, ""])


def _item(text: str) -> str:
    glued = text.replace(" #", "\N{NO-BREAK SPACE}#")  # a line that begins with "#" would be a heading
    lines = textwrap.fill(glued, _WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    return lines.replace("\N{NO-BREAK SPACE}#", " #")


if __name__ == "__main__":
    print(render(), end="")
