#!/bin/sh
# One training leg on the GPU host: DATA holds *.tar.xz of pack.py and pypdfium2's wheel; results go to OUT.
#   sh samples/training/layout/leg.sh DATA OUT SECONDS [train.py options]
set -e
deadline=$(($(date +%s) + $3))
data=$1 out=$2
shift 3
python3 -m pip install -q --no-index --no-deps --no-compile --target /tmp/site "$data"/*.whl
export PYTHONPATH=/tmp/site PYTHONUNBUFFERED=1
mkdir -p /tmp/pages
for part in "$data"/*.tar.xz; do
    python3 -c "import sys, tarfile; tarfile.open(sys.argv[1]).extractall('/tmp/pages', filter='data')" "$part" &
done
wait
echo "$(date +%T) $(ls /tmp/pages | wc -l) files"
python3 -m samples.training.layout.train /tmp/pages "$out" --deadline "$deadline" --minutes 60 "$@"
