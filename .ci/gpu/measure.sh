#!/usr/bin/env bash
# Measurements on a GPU machine without network; README.md beside this file says what to bring. Run it in the
# repository's root. Each step may be a call of its own, and may be repeated after a failure: what is installed or
# made stays in the folder AT (default: /tmp).
#   install             store what this call has brought (.kit1 ... .kitw, .whl, .gpu-data) in AT, and begin in the
#                       background whatever that allows: a checkpoint of random weights, unpacking vLLM, wheels
#   engine [SECONDS]    crops/s of the VLM's engine: CONFIGS=defaults,ours,eager; three start together and are
#                       measured in turn
#   pipeline [SECONDS]  pages/s from PDF to files with -b vlm, -b hybrid and MinerU's flow; MORE has more arguments
#   layout [SECONDS]    the layout model: the PARTS predict sizes tuned parity tests kernels chunks, in this order; also
#                       shipped, layers, blocks (their tile sizes), compile8, compile32
# Results: lines on standard output, and everything as OUT/NAME.tar.gz. SIZE=--tiny tries the script out on a CPU.
set -u
step=${1:-}; budget=${2:-400}; begun=$SECONDS
seconds_left() { echo $((budget - SECONDS + begun)); }
log() { echo "[$((SECONDS - begun)) s] $*"; }
OUT=${OUT:-/tmp/out}; AT=${AT:-/tmp}; PY=${PY:-python3}; CKPT=$AT/ckpt; mkdir -p "$OUT" "$AT/kit" "$AT/kitw" "$AT/whl"
export PYTHONPATH=$PWD:$PWD/kernels:${VLLM_AT-$AT/vk:$AT/site}:$AT/meta PATH=$PATH:$AT/site/bin
export HF_HUB_OFFLINE=1 VLLM_USE_FLASHINFER_SAMPLER=0 VLLM_NO_USAGE_STATS=1 TOKENIZERS_PARALLELISM=false
export MINERU_MODEL_SOURCE=local MINERU_HOME=$AT/mineru-home PYTHONUNBUFFERED=1

in_background() {  # name, command: run it in a session of its own, so that it outlives this call; once
  [ "$(cat "$AT/$1.done" 2> /dev/null)" = 0 ] || kill -0 "$(cat "$AT/$1.begun" 2> /dev/null)" 2> /dev/null && return
  rm -f "$AT/$1.done"; log "begun: $1"
  setsid nohup bash -c "$2; echo \$? > $AT/$1.done" > "$AT/$1.log" 2>&1 < /dev/null &
  echo $! > "$AT/$1.begun"
}
wait_for() {  # name, seconds
  for _ in $(seq $((4 * $2))); do [ -e "$AT/$1.done" ] && break; sleep 0.25; done
  [ "$(cat "$AT/$1.done" 2> /dev/null)" = 0 ] && return
  log "$1 is not there:"; tail -5 "$AT/$1.log"; return 1
}
install_wheels() {  # name, folder
  in_background "$1" "$PY -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --upgrade --target $AT/site $2/*.whl"
}

install() {
  cp .kit?/part? "$AT/kit/" 2> /dev/null; cp .kitw/*.whl "$AT/kitw/" 2> /dev/null; cp .whl/*.whl "$AT/whl/" 2> /dev/null
  cp .gpu-data/*.pdf "$AT/" 2> /dev/null
  local meta=$AT/meta/mineru_accel-0.1.0.dist-info  # vLLM finds plugins by a package's metadata
  mkdir -p "$meta"
  printf 'Metadata-Version: 2.1\nName: mineru-accel\nVersion: 0.1.0\n' > "$meta/METADATA"
  printf '[vllm.general_plugins]\nmineru_accel = mineru_accel.patches.plugin:register\n' > "$meta/entry_points.txt"
  cp -r mineru_accel kernels "$AT/" 2> /dev/null  # for the background: the tree may change between calls
  in_background ckpt "cd $AT && PYTHONPATH=$AT:$AT/kernels $PY -m mineru_accel.bench.vlm.random_checkpoint $CKPT ${SIZE:-}"
  if [ -e "$AT/kit/part1" ] && [ -e "$AT/kit/part2" ] && [ -e "$AT/kit/part3" ]; then
    in_background vllm "mkdir -p $AT/vk && cat $AT/kit/part? > $AT/kit/vllm.tar.xz && $PY -m tarfile -e $AT/kit/vllm.tar.xz $AT/vk"
  fi
  if ls "$AT"/kitw/*.whl > /dev/null 2>&1; then  # one after the other: both write to one folder
    install_wheels wheels "$AT/kitw"
    ls "$AT"/whl/*.whl > /dev/null 2>&1 && wait_for wheels 120 && install_wheels more-wheels "$AT/whl"
  fi
}

finish_install() {
  install
  wait_for ckpt 120 || return 1
  if [ -z "${VLLM_AT+given}" ]; then
    wait_for vllm 180 && wait_for wheels 120 || return 1
    [ ! -e "$AT/more-wheels.begun" ] || wait_for more-wheels 60
  fi
  command -v nvidia-smi > /dev/null && nvidia-smi --query-gpu=name,utilization.gpu,memory.used --format=csv,noheader
  "$PY" - <<'PY' || { log "imports failed"; return 1; }
from importlib.metadata import entry_points
import torch, vllm
assert any(e.name == "mineru_accel" for e in entry_points(group="vllm.general_plugins")), "no entry point"
print("vllm", vllm.__version__, "torch", torch.__version__)
PY
  log installed
}

pack() { tar -C "$1" --exclude='*.traces' -czf "$OUT/$(basename "$1").tar.gz" . ; }

engine() {
  finish_install || return 1
  local to=$AT/engine-${NAME:-$(date +%H%M%S)}; mkdir -p "$to"
  # shellcheck disable=SC2086
  VLLM_LOGGING_LEVEL=INFO timeout -k 5 $(($(seconds_left) + 150)) "$PY" -m mineru_accel.bench.vlm.bench_vlm "$CKPT" \
    --configs "${CONFIGS:-defaults,ours,eager}" --together --at-once "${AT_ONCE:-3}" --ready "${READY:-240}" \
    --limit 120 --deadline "$(seconds_left)" --reference "$AT/reference/first.json" --stacks "${STACKS:-6}" \
    --profile "${PROFILE:-0}" --out "$to" ${MORE:-} 2>&1 |
    grep --line-buffered -av WARNING
  for log in "$to"/*.log; do
    local name; name=$(basename "$log" .log)
    grep -aq '"rate"' "$to/$name.json" 2> /dev/null || { echo "--- $name failed:"; grep -av dump_input "$log" | tail -25 | cut -c1-300; }
  done
  for log in "$to"/*.log; do
    echo "--- $(basename "$log")"
    grep -aE "ncoder.*(budget|graph)|MMEncoder|vit attention|patch vllm.*(failed|active)|engine [0-9]+ started|JIT comp|Model Runner" "$log" |
      cut -c1-180 | sed 's/[0-9-]* [0-9:.]* //; s/pid [0-9]*//' | sort | uniq -c | sort -rn | head -8
  done
  for found in "$to"/*.kernels; do [ -e "$found" ] && { echo "--- $(basename "$found")"; head -"${LINES_OF:-24}" "$found"; }; done
  [ "${KEEP_TRACES:-}" = 1 ] || rm -rf "$to"/*.traces
  [ -e "$to/ours.stacks" ] && { echo "--- stacks of ours"; head -80 "$to/ours.stacks" | cut -c1-150; }
  pack "$to"; log "engine done"
}

pipeline() {
  finish_install || return 1
  local to=$AT/pipeline-${NAME:-$(date +%H%M%S)} pdf=$AT/demo1.pdf; mkdir -p "$to"
  [ -e "$pdf" ] || pdf=samples/paper.pdf
  "$PY" - <<'PY' || log "some import failed: what follows may fail, too"
import mineru_accel.conversion.worker_imports, mineru_accel.export.writer, mineru_accel.reading.vlm_answers, mineru_accel.pipeline, mineru_accel.vlm.engines.vllm
import mineru.backend.analysis.pdf.images
import mineru_accel.pdf.ocr_preload
PY
  timeout 90 "$PY" -m mineru_accel "$pdf" -o "$to/plain" -b pipeline --overwrite 2>&1 | tail -1
  rm -rf "$to/plain"
  [ "$(seconds_left)" -lt "${LEAST:-200}" ] && { log "no time left"; return 1; }
  # shellcheck disable=SC2086
  VLLM_LOGGING_LEVEL=WARNING timeout "$(seconds_left)" "$PY" -m mineru_accel bench vlm-pipeline "$pdf" --vlm "$CKPT" \
    --pages "${PAGES:-624}" --repeats "${REPEATS:-2}" ${MORE:-} --json "$to/main.json" > "$to/main.log" 2>&1
  local code=$?
  grep -E "^(start|truth|vlm|hybrid|mineru|times)" "$to/main.log" || tail -25 "$to/main.log"
  log "exit code $code"
  pack "$to"; log "pipeline done"
}

layout() {
  local to=$AT/layout-${NAME:-$(date +%H%M%S)}; mkdir -p "$to"
  export MINERU_ACCEL_CACHE=$AT/kernel-cache TORCHINDUCTOR_CACHE_DIR=$AT/inductor  # shared by all parts
  "$PY" -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --upgrade --target "$AT/site" .layout/*.whl
  local bench=("$PY" -m mineru_accel.bench.layout.bench_layout --out) made=(--random "${SCALE:-m}") name limit run
  for name in ${PARTS:-predict sizes tuned parity tests kernels chunks}; do
    case $name in
      predict) limit=110; run=("${bench[@]}" "$to/$name" "${made[@]}" --parts pages predict --chunk 8) ;;
      sizes) limit=80; run=("${bench[@]}" "$to/$name" "${made[@]}" --parts sizes) ;;
      shipped) limit=100; run=("${bench[@]}" "$to/$name" "${made[@]}" --parts correct forward --batch 1 8 32) ;;
      tuned)
        limit=230
        run=("${bench[@]}" "$to/$name" "${made[@]}" --parts tune correct forward --tune-batch 8 32 --batch 1 8 32) ;;
      layers) limit=60; run=("${bench[@]}" "$to/$name" "${made[@]}" --parts layers) ;;
      parity) limit=70; run=("${bench[@]}" "$to/$name" --parts parity --pages .layout/pages) ;;
      tests) limit=120; run=("$PY" -m pytest -q --noconftest -p no:cacheprovider tests/gpu/test_gpu_layout.py) ;;
      kernels) limit=150; run=("$PY" -m pytest -q --noconftest -p no:cacheprovider tests/gpu/test_gpu_kernels.py) ;;
      blocks)
        limit=240
        run=("$PY" -m mineru_accel.cli.tune --op dilated_block --batch 8 32 --repeat 20 --again --export "$to/$name") ;;
      chunks) limit=80; run=("${bench[@]}" "$to/$name" "${made[@]}" --parts pages --chunk 16 32) ;;
      compile*) limit=570; run=("${bench[@]}" "$to/$name" "${made[@]}" --parts compile --compile-batch "${name#compile}") ;;
      *) log "no part is called $name"; continue ;;
    esac
    [ "$limit" -le "$(seconds_left)" ] || limit=$(seconds_left)
    [ "$limit" -ge 20 ] || { log "$name: no time left"; continue; }
    log "=== $name, $limit s at most"
    timeout -k 5 "$limit" "${run[@]}" 2>&1 | tee "$to/$name.log" | grep --line-buffered -avE '^ +(triton_|mm |convolution )' |
      cut -c1-300
  done
  pack "$to"; log "layout done"
}

case $step in
  install | engine | pipeline | layout) "$step"; ls "$AT"/*.done 2> /dev/null | xargs -r grep -H . ;;
  *) sed -n '2,14p' "$0"; exit 2 ;;
esac
