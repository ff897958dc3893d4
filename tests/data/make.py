#!/usr/bin/env python3
"""Make the small data sets that trainer/cli/tests/datasets.rs reads: the same images in every layout.

    pip install pillow numpy datasets webdataset pyarrow
    python tests/data/make.py

The layouts are written by the libraries that people write them with: `datasets` for the Hugging Face hub's Parquet and
`webdataset` for tar shards. `expected.json` says what any reader has to come to, computed here with Pillow and NumPy
alone: SHA-256 over sizes, class names, labels and pixels as `Dataset::fingerprint` documents it.
"""

import gzip
import hashlib
import io
import json
import pickle
import shutil
import struct
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import webdataset
from datasets import ClassLabel, Dataset, Features, Image, Sequence, Value
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


def fingerprint(classes: list[str], labels: list[int], pictures: list[np.ndarray], beside: bytes = b"") -> str:
    """Everything that training sees, in order, all numbers of the header in 64 bits and labels in 32."""
    digest = hashlib.sha256(b"freeguide data set 1\n")
    for number in (SIDE, 3, len(classes), len(labels)):
        digest.update(struct.pack("<Q", number))
    for name in classes:
        digest.update(struct.pack("<Q", len(name)) + name.encode())
    for label in labels:
        digest.update(struct.pack("<I", label))
    digest.update(beside)
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


def planes(numbers) -> np.ndarray:
    """[N, 3072]: the red, the green and the blue plane of every picture."""
    return np.stack([PICTURES[n].transpose(2, 0, 1).reshape(-1) for n in numbers])


def python2(entries: dict) -> bytes:
    """What Python 2's cPickle makes of a dictionary of texts, lists and one array, as CIFAR's batches are: bytes are
    its `str`, which Python 3 does not write any more."""

    def text(value: str) -> bytes:
        return b"U" + bytes([len(value)]) + value.encode()

    def value_of(value) -> bytes:
        if isinstance(value, np.ndarray):
            rows, columns = value.shape
            shape = b"M" + struct.pack("<H", rows) + b"M" + struct.pack("<H", columns) + b"\x86"
            dtype = b"cnumpy\ndtype\nq\x07" + text("u1") + b"K\x00K\x01\x87Rq\x08"
            dtype += b"(K\x03" + text("|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
            numbers = b"T" + struct.pack("<I", value.nbytes) + value.tobytes()
            made = b"cnumpy.core.multiarray\n_reconstruct\nq\x04cnumpy\nndarray\nq\x05K\x00\x85" + text("b") + b"\x87Rq\x06"
            return made + b"(K\x01" + shape + dtype + b"\x89" + numbers + b"tb"
        if isinstance(value, list):
            return b"]q\x03(" + b"".join(value_of(v) for v in value) + b"e"
        if isinstance(value, int):
            return b"K" + bytes([value])
        return text(value)

    pairs = b"".join(text(key) + value_of(value) for key, value in entries.items())
    whole = b"\x80\x02}q\x01(" + pairs + b"u."
    read = pickle.loads(whole, encoding="bytes")
    assert list(read) == [key.encode() for key in entries]
    return whole


def cifar_python() -> None:
    """`cifar-10-batches-py` as torchvision downloads it, and CIFAR-100 in both forms."""
    root = empty("cifar-py")

    def batch(name: str, numbers) -> None:
        entries = {"batch_label": name, "labels": [LABELS[n] for n in numbers], "data": planes(numbers)}
        (root / name).write_bytes(python2(entries | {"filenames": [f"{n}.png" for n in numbers]}))

    batch("data_batch_1", range(0, 7))
    batch("data_batch_2", range(7, 12))
    batch("test_batch", [11, 0])
    meta = {"num_cases_per_batch": 7, "label_names": CLASSES, "num_vis": 200}
    (root / "batches.meta").write_bytes(python2(meta))

    # The fine classes are ours; the coarse one of each is 0, for it is no dog, or 1.
    root = empty("cifar100-py")
    whole = list(range(12))
    for name, numbers in {"train": whole, "test": [11, 0]}.items():
        fine = [LABELS[n] for n in numbers]
        entries = {"filenames": [f"{n}.png" for n in numbers], "batch_label": name, "fine_labels": fine}
        entries |= {"coarse_labels": [label // 2 for label in fine], "data": planes(numbers)}
        (root / name).write_bytes(python2(entries))
    coarse = ["no dog", "dog"]
    (root / "meta").write_bytes(python2({"fine_label_names": CLASSES, "coarse_label_names": coarse}))
    root = empty("cifar100")
    for name, numbers in {"train.bin": whole, "test.bin": [11, 0]}.items():
        rows = zip([LABELS[n] for n in numbers], planes(numbers))
        (root / name).write_bytes(b"".join(bytes([label // 2, label]) + row.tobytes() for label, row in rows))
    (root / "fine_label_names.txt").write_text("\n".join(CLASSES) + "\n")
    (root / "coarse_label_names.txt").write_text("\n".join(coarse) + "\n")


def imagenet() -> None:
    """ImageNet at 32x32 as image-net.org serves it: planes, labels from 1, as archives of NumPy and as pickles."""
    archives, pickles = empty("imagenet-npz"), empty("imagenet-py")
    for name, numbers in {"train_data_batch_1": range(0, 7), "train_data_batch_2": range(7, 12), "val_data": [11, 0]}.items():
        data, labels = planes(numbers), [LABELS[n] + 1 for n in numbers]
        mean = data.mean(axis=0)
        np.savez(archives / f"{name}.npz", data=data, labels=np.array(labels), mean=mean)
        with open(pickles / name, "wb") as file:
            pickle.dump({"data": data, "labels": labels, "mean": mean}, file, protocol=4)


def numpy_archives() -> None:
    """MedMNIST's keys, compressed; Keras's; and what openai/guided-diffusion's samplers write."""
    parts = {"train": list(range(12)), "val": [3, 4], "test": [11, 0]}
    images = {part: np.stack([PICTURES[n] for n in numbers]) for part, numbers in parts.items()}
    labels = {part: np.array([LABELS[n] for n in numbers]) for part, numbers in parts.items()}
    entries = {f"{part}_images": images[part] for part in parts}
    entries |= {f"{part}_labels": labels[part].astype(np.uint8)[:, None] for part in parts}
    np.savez_compressed(empty("medmnist") / "animalmnist.npz", **entries)
    entries = {"x_train": images["train"], "y_train": labels["train"], "x_test": images["test"], "y_test": labels["test"]}
    np.savez(empty("keras") / "animals.npz", **entries)
    np.savez(empty("guided-npz") / "samples_12x32x32x3.npz", images["train"], labels["train"])


def folders_otherwise() -> None:
    """The class folders packed, flat, and as EDM's and StyleGAN's dataset tools write them."""
    members = [(f"{CLASSES[label]}/{n:02}.png", png(PICTURES[n])) for n, label in enumerate(LABELS)]
    with tarfile.open(empty("folders-tgz") / "animals.tar.gz", "w:gz") as archive:
        for name, content in members:
            about = tarfile.TarInfo(f"./animals/{name}")
            about.size = len(content)
            archive.addfile(about, io.BytesIO(content))
    with zipfile.ZipFile(empty("folders-zip") / "animals.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(f"animals/{name}", content)
    flat = empty("flat")
    for name, content in members:
        (flat / name.replace("/", "_")).write_bytes(content)
    edm, names = empty("edm"), [f"00000/img{n:08}.png" for n in range(12)]
    about = json.dumps({"labels": [[name, label] for name, label in zip(names, LABELS)]})
    (edm / "00000").mkdir()
    for name, (_, content) in zip(names, members):
        (edm / name).write_bytes(content)
    (edm / "dataset.json").write_text(about)
    with zipfile.ZipFile(empty("edm-zip") / "animals-32x32.zip", "w", zipfile.ZIP_STORED) as archive:
        for name, (_, content) in zip(names, members):
            archive.writestr(name, content)
        archive.writestr("dataset.json", about)


def mnist() -> None:
    """idx files, compressed as they are served; grey."""
    root = empty("mnist")
    grey = [p[..., 0] for p in PICTURES]
    for name, numbers in {"train": range(12), "t10k": [11, 0]}.items():
        images = struct.pack(">4B3I", 0, 0, 8, 3, len(numbers), SIDE, SIDE) + b"".join(grey[n].tobytes() for n in numbers)
        labels = struct.pack(">4BI", 0, 0, 8, 1, len(numbers)) + bytes(LABELS[n] for n in numbers)
        (root / f"{name}-images-idx3-ubyte.gz").write_bytes(gzip.compress(images, mtime=0))
        (root / f"{name}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels, mtime=0))


# Attributes, in the order of their names: every subset is there. An age for each picture but one.
ATTRIBUTES = ["hat", "smiling", "young"]
SETS = [[k for k in range(3) if (n + 1) >> k & 1] for n in range(12)]
AGES = [None if n == 4 else 2.5 * n - 5 for n in range(12)]


def attributes() -> None:
    """The same pictures with several labels each: CelebA's table, `metadata.jsonl`, `dataset.json`, WebDataset, Parquet of the
    hub, and rows of flags as ChestMNIST has them."""
    root = empty("attributes-celeba")
    faces = root / "img_align_celeba"
    faces.mkdir()
    files = [f"{n + 1:06}.png" for n in range(14)]
    chosen = list(range(12)) + [11, 0]
    for name, n in zip(files, chosen):
        (faces / name).write_bytes(png(PICTURES[n]))
    rows = [f"{name}  " + " ".join(f"{1 if k in SETS[n] else -1:2}" for k in range(3)) for name, n in zip(files, chosen)]
    (root / "list_attr_celeba.txt").write_text("\n".join(["14", " ".join(ATTRIBUTES), *rows, ""]))
    parts = [f"{name} {0 if n < 12 else 2}" for n, name in enumerate(files)]
    (root / "list_eval_partition.txt").write_text("\n".join([*parts, ""]))

    root = empty("attributes-jsonl")
    (root / "images").mkdir()
    lines = []
    for n in range(12):
        name = f"images/{n:02}.png"
        (root / name).write_bytes(png(PICTURES[n]))
        lines.append(json.dumps({"file_name": name, "labels": [ATTRIBUTES[k] for k in SETS[n]], "age": AGES[n]}))
    (root / "metadata.jsonl").write_text("\n".join(lines) + "\n")

    root, names = empty("attributes-edm"), [f"00000/img{n:08}.png" for n in range(12)]
    (root / "00000").mkdir()
    for n, name in enumerate(names):
        (root / name).write_bytes(png(PICTURES[n]))
    (root / "dataset.json").write_text(json.dumps({"labels": [[name, labels] for name, labels in zip(names, SETS)]}))
    (root / "classes.txt").write_text("\n".join(ATTRIBUTES) + "\n")

    shard = webdataset.TarWriter(str(empty("attributes-shards") / "set-000000.tar"), mtime=0)
    for n in range(12):
        about = json.dumps({"attributes": [ATTRIBUTES[k] for k in SETS[n]], "age": AGES[n], "box": [1, 2]}).encode()
        shard.write({"__key__": f"{n:04}", "png": png(PICTURES[n]), "json": about})
    shard.close()

    features = {"image": Image(), "labels": Sequence(ClassLabel(names=ATTRIBUTES)), "age": Value("float32")}
    features |= {"box": Sequence(Value("int64")), "page": Value("int64")}
    rows = {
        "image": [{"bytes": png(p), "path": None} for p in PICTURES],
        "labels": SETS,
        "age": AGES,
        "box": [[1, 2]] * 12,
        "page": list(range(12)),
    }
    Dataset.from_dict(rows, features=Features(features)).to_parquet(empty("attributes-hub") / "train.parquet", batch_size=5)

    root = empty("attributes-npz")
    flags = np.array([[k in labels for k in range(3)] for labels in SETS]).astype(np.uint8)
    ages = np.array([np.nan if age is None else age for age in AGES])
    np.savez(root / "chestmnist.npz", train_images=np.stack(PICTURES), train_labels=flags, train_age=ages)
    (root / "classes.txt").write_text("\n".join(ATTRIBUTES) + "\n")


def beside(ages: bool) -> bytes:
    """What the fingerprint has of attributes, and of ages."""
    several = b"".join(struct.pack(f"<Q{len(labels)}I", len(labels), *labels) for labels in SETS)
    numbers = b"".join(struct.pack("<d", float("nan") if age is None else age) for age in AGES)
    return b"attributes\n" + several + (b"numbers\n" + numbers if ages else b"")


def expected() -> None:
    by_kind = {
        "whole": fingerprint(CLASSES, LABELS, PICTURES),
        "test": fingerprint(CLASSES, [LABELS[11], LABELS[0]], [PICTURES[11], PICTURES[0]]),
    }
    grey = [np.repeat(p[..., :1], 3, axis=-1) for p in PICTURES]
    by_kind["grey"] = fingerprint(["0", "1", "2"], LABELS, grey)
    coarse = [label // 2 for label in LABELS]
    by_kind["coarse"] = fingerprint(["no dog", "dog"], coarse, PICTURES)
    by_kind["attributes"] = fingerprint(ATTRIBUTES, [0] * 12, PICTURES, beside(ages=False))
    by_kind["ages"] = fingerprint(ATTRIBUTES, [0] * 12, PICTURES, beside(ages=True))
    (HERE / "expected.json").write_text(json.dumps(by_kind, indent=2) + "\n")


if __name__ == "__main__":
    class_folders()
    cifar()
    shards()
    hub()
    plain()
    cifar_python()
    imagenet()
    numpy_archives()
    folders_otherwise()
    mnist()
    attributes()
    expected()
