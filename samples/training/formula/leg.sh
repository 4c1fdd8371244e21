#!/bin/sh
# Training on a GPU host without network, in the background, its data arriving in several calls.
#   sh leg.sh start CARRIED MINUTES [train.py options]   # returns at once; one process for each GPU
#   sh leg.sh more CARRIED                               # more packs, while it trains
#   sh leg.sh look [OUT]                                 # the log's end; OUT gets the log, the weights in parts, the answers
# CARRIED: pack_*.tar and vocab.json of pack.py, code/ (a checkout's samples/), wheel/ (pypdfium2's), perhaps
# model.safetensors, which --resume names as /tmp/formula/in/model.safetensors. Everything else lies in /tmp/formula.
set -e
work=/tmp/formula
what=$1
[ $# -gt 0 ] && shift

case $what in
start | more)
    carried=$1
    shift
    mkdir -p "$work/in" "$work/out" "$work/part"
    for file in "$carried"/*.tar "$carried"/*.json "$carried"/*.safetensors; do
        if [ -e "$file" ]; then
            cp "$file" "$work/part/"
            mv "$work/part/$(basename "$file")" "$work/in/"
        fi
    done
    ls -la "$work/in"
    if [ "$what" = more ]; then exit 0; fi
    minutes=$1
    shift
    rm -rf "$work/code"
    cp -r "$carried/code" "$work/code"
    python3 -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --upgrade --target "$work/site" "$carried"/wheel/*.whl
    export PYTHONPATH="$work/site" PYTHONUNBUFFERED=1 OMP_NUM_THREADS=2 PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True
    cd "$work/code"
    WORLD_SIZE=$(nvidia-smi -L | wc -l)
    export WORLD_SIZE MASTER_ADDR=127.0.0.1 MASTER_PORT=29511
    rank=0
    while [ "$rank" -lt "$WORLD_SIZE" ]; do
        RANK=$rank setsid nohup python3 -m samples.training.formula.train "$work/in" "$work/out" --minutes "$minutes" "$@" \
            >"$work/out/screen$rank.log" 2>&1 &
        rank=$((rank + 1))
    done
    echo "started on $WORLD_SIZE GPUs"
    ;;
look)
    tail -n 30 "$work/out/screen0.log"
    for log in "$work"/out/screen[1-9].log; do
        if [ -e "$log" ]; then tail -n 3 "$log"; fi
    done
    nvidia-smi --query-gpu=utilization.gpu,memory.used --format=csv,noheader
    if [ $# -gt 0 ]; then
        cp "$work/out/train.log" "$1"/ || true
        if [ -e "$work/out/model.safetensors" ]; then
            split -b 15m -d "$work/out/model.safetensors" "$1/model.safetensors."
        fi
        if ls "$work"/out/*.jsonl >/dev/null 2>&1; then tar czf "$1/answers.tar.gz" -C "$work/out" $(cd "$work/out" && ls *.jsonl); fi
    fi
    ;;
*)
    sed -n '2,8p' "$0"
    exit 2
    ;;
esac
