#!/bin/sh
# Training on a GPU machine without network, in the background; its data may arrive in several calls.
#   sh samples/training/layout/leg.sh start DATA MINUTES [train.py options]   # returns at once
#   sh samples/training/layout/leg.sh more DATA                               # more packs, while it trains
#   sh samples/training/layout/leg.sh look [OUT]                              # the log's end; OUT gets ema.pt and the log
# DATA: *.tar.xz of pack.py, pypdfium2's wheel, and teacher.onnx where a pack has real pages without labels.
# GPU and CORES (taskset's list) may be set; everything else lies in /tmp/layout.
set -e
work=/tmp/layout gpu=${GPU:-0} cores=${CORES:-0-15}
what=$1
[ $# -gt 0 ] && shift

unpack() { # NAME: the packs of $work/in/NAME become $work/pages/NAME
    mkdir -p "$work/tmp/$1" "$work/pages"
    for part in "$work/in/$1"/*.tar.xz; do
        python3 -c "import sys, tarfile; tarfile.open(sys.argv[1]).extractall(sys.argv[2], filter='data')" "$part" "$work/tmp/$1" &
    done
    wait
    if [ -e "$work/in/teacher.onnx" ]; then
        (cd "$work/code" && python3 -m samples.training.layout.real label "$work/tmp/$1" "$work/in/teacher.onnx")
    fi
    mv "$work/tmp/$1" "$work/pages/$1"
    touch "$work/pages/$1/READY"
    echo "$(date +%T) $1: $(ls "$work/pages/$1" | wc -l) files"
}

case $what in
start | more)
    data=$1
    shift
    name=$(basename "$data")
    mkdir -p "$work/in/$name" "$work/out"
    cp "$data"/*.tar.xz "$work/in/$name/"
    if [ -e "$data/teacher.onnx" ]; then cp "$data/teacher.onnx" "$work/in/"; fi
    if [ "$what" = start ]; then
        minutes=$1
        shift
        mkdir -p "$work/code"
        cp -r samples mineru_accel "$work/code/"
        cp "$data"/*.pt "$work/in/" 2>/dev/null || true
        python3 -m pip install -q --no-index --no-deps --no-compile --target "$work/site" "$data"/*.whl
    fi
    export PYTHONPATH="$work/site" PYTHONUNBUFFERED=1 CUDA_VISIBLE_DEVICES="$gpu" OMP_NUM_THREADS=2 work what
    if [ "$what" = start ]; then
        cd "$work/code"
        setsid nohup taskset -c "$cores" python3 -m samples.training.layout.train "$work/pages" "$work/out" \
            --minutes "$minutes" "$@" >"$work/out/train.err" 2>&1 &
        cd - >/dev/null
    fi
    setsid nohup taskset -c "$cores" sh "$work/code/samples/training/layout/leg.sh" unpack "$name" \
        >"$work/out/$name.log" 2>&1 &
    echo "$what $name"
    ;;
unpack) unpack "$1" ;;
look)
    cat "$work"/out/leg*.log "$work"/out/call*.log 2>/dev/null || true
    tail -n 4 "$work/out/train.err"
    if [ $# -gt 0 ]; then cp "$work/out/ema.pt" "$work/out/train.log" "$1"/ || true; fi
    ;;
*)
    sed -n '2,7p' "$0"
    exit 2
    ;;
esac
