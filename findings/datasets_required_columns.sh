#!/bin/sh
# datasets 5.2.0 ignores the features in a Parquet file for every column that cannot be null.
#
# The library keeps the features of a data set (ClassLabel and its names, for instance) in the file's metadata, under the
# key "huggingface". load_dataset takes a feature only if its Arrow field equals the field of the file, and its own fields
# can all be null. A column that another program declares as REQUIRED, because every row has a label, loses its class
# names: it becomes Value("int64"). There is no warning. The file is valid, and the same file with an OPTIONAL column loads
# with its ClassLabel.
#
# Seen with datasets 5.2.0, pyarrow 26.0.1:
#     optional: ClassLabel(names=['cat', 'dog'])
#     required: Value('int64')
# Exits with 1 if that has changed.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet datasets==5.2.0 pyarrow==26.0.1

cat > columns.py <<'PY'
import json
import sys

import datasets
import pyarrow as pa
import pyarrow.parquet as pq

features = {"info": {"features": {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}}}
seen = {}
for name, nullable in [("optional", True), ("required", False)]:
    field = pa.field("label", pa.int64(), nullable=nullable)
    schema = pa.schema([field], metadata={"huggingface": json.dumps(features)})
    pq.write_table(pa.table({"label": [0, 1]}, schema=schema), f"{name}.parquet")
    data = datasets.load_dataset("parquet", data_files=f"{name}.parquet", split="train", cache_dir="cache")
    seen[name] = data.features["label"]
    print(f"{name}: {seen[name]}")
expected = {"optional": datasets.ClassLabel(names=["cat", "dog"]), "required": datasets.Value("int64")}
sys.exit(seen != expected)
PY
HF_HUB_OFFLINE=1 HF_HOME="$folder/home" venv/bin/python columns.py
