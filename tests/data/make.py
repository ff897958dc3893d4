#!/usr/bin/env python3
"""Make the small data sets that trainer/cli/tests/datasets.rs reads: the same images in every layout.

    pip install pillow numpy datasets webdataset pyarrow
    python tests/data/make.py

The layouts are written by the libraries that people write them with: `datasets` for the Hugging Face hub's Parquet and
`webdataset` for tar shards. `expected.json` says what any reader has to come to, computed here with Pillow and NumPy
alone: SHA-256 over sizes, class names, labels and pixels as `Dataset::fingerprint` documents it.
"""

import hashlib
import io
import json
import shutil
import struct
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import webdataset
from datasets import ClassLabel, Dataset, Features, Image, Value
from PIL import Image as Picture

HERE = Path(__file__).resolve().parent
SIDE = 32
CLASSES = ["bird", "cat", "dog"]
COUNTS = [5, 3, 4]
LABELS = [label for label, count in enumerate(COUNTS) for _ in range(count)]


def picture(number: int) -> np.ndarray:
    """[32, 32, 3]: a slope of its own in every channel, with a bright square that wanders."""
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    slopes = [x * (number + 1), y * (2 * number + 3), (x + y) * (number + 2)]
    pixels = np.stack(slopes, axis=-1).astype(np.uint8) // 2
    pixels[number : number + 6, 2 * number : 2 * number + 6] = [250, 200, 40 + 10 * number]
    return pixels


PICTURES = [picture(number) for number in range(len(LABELS))]


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Picture.fromarray(pixels).save(file, "PNG", optimize=True)
    return file.getvalue()


def fingerprint(classes: list[str], labels: list[int], pictures: list[np.ndarray]) -> str:
    """Everything that training sees, in order, all numbers of the header in 64 bits and labels in 32."""
    digest = hashlib.sha256(b"freeguide data set 1\n")
    for number in (SIDE, 3, len(classes), len(labels)):
        digest.update(struct.pack("<Q", number))
    for name in classes:
        digest.update(struct.pack("<Q", len(name)) + name.encode())
    for label in labels:
        digest.update(struct.pack("<I", label))
    for pixels in pictures:
        digest.update(pixels.tobytes())
    return digest.hexdigest()


def empty(name: str) -> Path:
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def class_folders() -> None:
    root = empty("folders")
    for number, (label, pixels) in enumerate(zip(LABELS, PICTURES)):
        path = root / CLASSES[label] / f"{number:02}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(png(pixels))


def cifar() -> None:
    root = empty("cifar")

    def batch(name: str, numbers) -> None:
        planes = (bytes([LABELS[n]]) + PICTURES[n].transpose(2, 0, 1).tobytes() for n in numbers)
        (root / name).write_bytes(b"".join(planes))

    batch("data_batch_1.bin", range(0, 7))
    batch("data_batch_2.bin", range(7, 12))
    batch("test_batch.bin", [11, 0])
    (root / "batches.meta.txt").write_text("\n".join(CLASSES) + "\n\n")


def shards() -> None:
    numbers = empty("shards")
    (numbers / "classes.txt").write_text("\n".join(CLASSES) + "\n")
    names = empty("shards-json")
    for shard, part in enumerate([range(0, 7), range(7, 12)]):
        by_number = webdataset.TarWriter(str(numbers / f"set-{shard:06}.tar"), mtime=0)
        by_name = webdataset.TarWriter(str(names / f"set-{shard:06}.tar"), mtime=0)
        for n in part:
            key, image = f"{n:04}", png(PICTURES[n])
            by_number.write({"__key__": key, "png": image, "cls": str(LABELS[n]).encode()})
            about = json.dumps({"caption": "a picture", "label": CLASSES[LABELS[n]]}).encode()
            by_name.write({"__key__": f"some/{key}", "png": image, "json": about, "mask.png": png(PICTURES[0])})
        by_number.close()
        by_name.close()


def hub() -> None:
    root = empty("hub") / "data"
    root.mkdir()
    features = Features({"img": Image(), "label": ClassLabel(names=CLASSES), "note": Value("int64")})

    def part(name: str, numbers: list[int]) -> None:
        rows = {
            "img": [{"bytes": png(PICTURES[n]), "path": f"{n:02}.png"} for n in numbers],
            "label": [LABELS[n] for n in numbers],
            "note": numbers,
        }
        Dataset.from_dict(rows, features=features).to_parquet(root / name, batch_size=5)

    part("train-00000-of-00002.parquet", list(range(0, 7)))
    part("train-00001-of-00002.parquet", list(range(7, 12)))
    part("test-00000-of-00001.parquet", [11, 0])


def plain() -> None:
    """Parquet from elsewhere: bare bytes, names for labels, small pages, some values missing, no metadata."""
    root = empty("plain")
    image = [png(p) for p in PICTURES] + [png(PICTURES[0]), None]
    label = [CLASSES[n] for n in LABELS] + [None, "dog"]
    table = pa.table({"picture": pa.array(image, pa.binary()), "kind": pa.array(label), "page": list(range(14))})
    pq.write_table(
        table,
        root / "pictures.parquet",
        compression="zstd",
        row_group_size=9,
        data_page_size=300,
        write_batch_size=2,
        use_dictionary=["kind"],
    )


def expected() -> None:
    by_kind = {
        "whole": fingerprint(CLASSES, LABELS, PICTURES),
        "test": fingerprint(CLASSES, [LABELS[11], LABELS[0]], [PICTURES[11], PICTURES[0]]),
    }
    (HERE / "expected.json").write_text(json.dumps(by_kind, indent=2) + "\n")


if __name__ == "__main__":
    class_folders()
    cifar()
    shards()
    hub()
    plain()
    expected()
