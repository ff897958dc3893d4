#!/bin/sh
# datasets 5.2.0 takes the columns and types of a WebDataset from its first five samples, and changes the rest in silence.
#
# load_dataset("webdataset", …) looks at five samples. Later samples are forced into what these had:
# - a member that only later samples have, such as a label (.cls), is left out: no column, no warning;
# - a number that is whole in the first five samples is an integer in all: 2.5 becomes 2.
# Both tar files are valid WebDatasets; the library webdataset reads every member and every number as it is.
#
# Seen with datasets 5.2.0, webdataset 1.0.2, pillow 13.0.0:
#     labels from the sixth sample on: webdataset [5, 6, 7], datasets has the columns ['__key__', '__url__', 'png']
#     w = 1 five times, then 2.5:      webdataset [2.5, 2.5, 2.5], datasets [2, 2, 2]
# Exits with 1 if that has changed.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet datasets==5.2.0 webdataset==1.0.2 pillow==13.0.0

cat > five.py <<'PY'
import io
import json
import sys
import tarfile

import datasets
import webdataset
from PIL import Image


def write(name, extension, content):
    """Eight samples; content(k) is the member beside picture k, or None."""
    file = io.BytesIO()
    Image.new("RGB", (4, 4)).save(file, "PNG")
    with tarfile.open(name, "w") as tar:
        for k in range(8):
            for end, data in [("png", file.getvalue()), (extension, content(k))]:
                if data is not None:
                    info = tarfile.TarInfo(f"{k:03}.{end}")
                    info.size = len(data)
                    tar.addfile(info, io.BytesIO(data))


def load(name):
    return datasets.load_dataset("webdataset", data_files=name, split="train", cache_dir=f"cache-{name}")


write("labels.tar", "cls", lambda k: str(k).encode() if k >= 5 else None)
write("numbers.tar", "json", lambda k: json.dumps({"w": 1 if k < 5 else 2.5}).encode())

own = [s["cls"] for s in webdataset.WebDataset("labels.tar", shardshuffle=False).decode() if "cls" in s]
columns = sorted(load("labels.tar").column_names)
print(f"labels from the sixth sample on: webdataset {own}, datasets has the columns {columns}")
floats = [s["json"]["w"] for s in webdataset.WebDataset("numbers.tar", shardshuffle=False).decode()][5:]
read = [row["w"] for row in load("numbers.tar")["json"]][5:]
print(f"w = 1 five times, then 2.5:      webdataset {floats}, datasets {read}")
expected = ([5, 6, 7], ["__key__", "__url__", "png"], [2.5] * 3, [2] * 3)
sys.exit((own, columns, floats, read) != expected)
PY
HF_HUB_OFFLINE=1 HF_HOME="$folder/home" HF_DATASETS_DISABLE_PROGRESS_BARS=1 venv/bin/python five.py
