#!/usr/bin/env bash
# Downloads what a GPU machine without network (x86-64, Python 3.12, torch 2.11 with CUDA 13) needs to run vLLM 0.28.0
# and this project, into folders of the repository's root that git ignores:
#   .kit1 .kit2 .kit3   vLLM without what Hopper does not need: a .tar.xz in parts of at most 58 MB
#   .kitw               wheels of requirements-vllm.txt (55 MB)
#   .whl                wheels of requirements.txt (41 MB)
# vLLM's wheel is built for torch 2.13; with 2.11 it runs thanks to torch's stable ABI. Takes about 3 minutes.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
download=(python3 -m pip download -q --no-deps --only-binary=:all: --python-version 3.12 --implementation cp)
for n in $(seq 5 39); do download+=(--platform "manylinux_2_${n}_x86_64"); done
download+=(--platform manylinux2014_x86_64 --platform manylinux2010_x86_64 --platform manylinux1_x86_64)

"${download[@]}" -d "$work" vllm==0.28.0
# left out: FlashAttention 2 (Hopper uses 3), the Rust front end, bundled headers, other Pythons' DeepGEMM
python3 - "$work" <<'PY'
import re, sys, zipfile
from pathlib import Path

left_out = re.compile(
    r"vllm/third_party/.*/cutlass/|vllm/third_party/deep_gemm/include/|vllm/vllm-rs$"
    r"|vllm/vllm_flash_attn/_vllm_fa2_C\.abi3\.so$|vllm/third_party/deep_gemm/_C\.cpython-31[0134]"
)
work = Path(sys.argv[1])
with zipfile.ZipFile(next(work.glob("vllm-*.whl"))) as wheel:
    wheel.extractall(work / "slim", [name for name in wheel.namelist() if not left_out.match(name)])
PY
tar -C "$work/slim" -c . | xz -T2 -2 > "$work/vllm.tar.xz"
rm -rf .kit[0-9] .kitw .whl
split -b 58000000 -d -a 1 --numeric-suffixes=1 "$work/vllm.tar.xz" "$work/part"
for part in "$work"/part?; do
  mkdir ".kit${part: -1}"
  mv "$part" ".kit${part: -1}/"
done
"${download[@]}" -d .kitw -r "$here/requirements-vllm.txt"
"${download[@]}" -d .whl -r "$here/requirements.txt"
du -sh .kit* .whl
