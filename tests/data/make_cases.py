#!/usr/bin/env python3
"""Make the small data sets of tests/data/cases: what is valid and easily misread.

    pip install pillow numpy pyarrow
    apt install libjpeg-turbo-progs          # cjpeg and jpegtran
    python tests/data/make_cases.py

Picture n is one colour, red 10·n, so that a test sees which picture got which label. `jpeg/` holds JPEGs of many
sampling factors, with what libjpeg-turbo makes of them (through Pillow) beside each as PNG.
"""

import io
import json
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

HERE = Path(__file__).resolve().parent / "cases"


def picture(number: int, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (4, 4), (10 * number, 0, 0)).save(file, kind)
    return file.getvalue()


def empty(name: str) -> Path:
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def tar(path: Path, members: list[tuple[str, bytes | str]]) -> None:
    """Members in order; a text instead of bytes is the name that a hard link means."""
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in members:
            about = tarfile.TarInfo(name)
            if isinstance(content, str):
                about.type, about.linkname = tarfile.LNKTYPE, content
                archive.addfile(about)
            else:
                about.size = len(content)
                archive.addfile(about, io.BytesIO(content))


def parquet(path: Path, labels: list, names: list[str] | None = None, paths: list[str] | None = None, **options) -> None:
    images = [
        {"bytes": None if paths else picture(n), "path": paths[n] if paths else None} for n in range(len(labels))
    ]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.table({"image": pa.array(images, kind), "label": pa.array(labels)})
    if names:
        features = {"image": {"_type": "Image"}, "label": {"names": names, "_type": "ClassLabel"}}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, path, **options)


def labels_that_are_digits() -> None:
    # Class folders 1 … 12 sort so; class k has k images.
    names = sorted((str(k) for k in range(1, 13)))
    labels = [place for place, name in enumerate(names) for _ in range(int(name))]
    folder = empty("numeric_class_names")
    images = pa.array([{"bytes": picture(int(names[label])), "path": None} for label in labels])
    table = pa.table({"image": images, "label": labels})
    features = {"image": {"_type": "Image"}, "label": {"names": names, "_type": "ClassLabel"}}
    table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, folder / "train-00000-of-00001.parquet")

    parquet(empty("numeral_strings") / "train.parquet", ["1990", "2005"] * 3)
    members = []
    for n, label in enumerate(["08", "09", "10"] * 2):
        members += [(f"{n:04}.cls", label.encode()), (f"{n:04}.png", picture(n))]
    tar(empty("zero_padded") / "a.tar", members)


def samples(numbers, kind: str = "png") -> list[tuple[str, bytes]]:
    both = [[(f"{n:04}.cls", str(n % 3).encode()), (f"{n:04}.{kind}", picture(n))] for n in numbers]
    return [member for pair in both for member in pair]


def parts() -> None:
    folder = empty("split_names")
    parquet(folder / "mnist_train.parquet", [0, 1, 0, 1], names=["cat", "dog"])
    parquet(folder / "mnist_test.parquet", [0, 1], names=["cat", "dog"])
    folder = empty("train_and_val")
    tar(folder / "set-train-000000.tar", samples(range(0, 6)))
    tar(folder / "set-val-000000.tar", samples(range(6, 9)))


def archives() -> None:
    unread = [(f"{n:04}.{'avif' if name == 'png' else 'cls'}", content) for n in range(6, 12)
              for (name, content) in [("cls", str(n % 3).encode()), ("png", picture(n))]]
    tar(empty("unread_half") / "a.tar", samples(range(0, 6)) + unread)
    links = samples(range(0, 6))
    for n in range(6, 9):
        links += [(f"{n:04}.cls", str(n % 3).encode()), (f"{n:04}.png", f"{n - 6:04}.png")]
    tar(empty("hardlinks") / "a.tar", links)
    folder = empty("duplicate_names")
    tar(folder / "a.tar", samples(range(0, 6)))
    (folder / "classes.txt").write_text("crane\ndog\ncrane\n")
    dots = []
    for n in range(6):
        dots += [(f"{n:04}.input.png", picture(n)), (f"{n:04}.label.cls", str(n % 2).encode()),
                 (f"{n:04}.txt", f"kind {n % 3}".encode())]
    tar(empty("several_dots") / "a.tar", dots)
    kinds = {"gif": "GIF", "bmp": "BMP", "tif": "TIFF", "webp": "WEBP"}
    members = []
    for n, (extension, kind) in enumerate(kinds.items()):
        file = io.BytesIO()
        options = {"lossless": True} if kind == "WEBP" else {}
        Image.new("RGB", (4, 4), (10 * n, 0, 0)).save(file, kind, **options)
        members += [(f"{n:04}.cls", b"a"), (f"{n:04}.{extension}", file.getvalue())]
    tar(empty("other_formats") / "a.tar", members)
    folders = [(f"set/{name}/{n}.png", picture(n)) for n, name in enumerate(["cats", "dogs", "cats", "dogs"])]
    folders += [("set/README.md", b"about"), ("__MACOSX/set/cats/._0.png", b"x")]
    tar(empty("folders_in_tar") / "a.tar", folders)
    with tarfile.open(HERE / "folders_in_tar" / "a.tar") as plain:
        names = plain.getnames()
    assert "set/cats/0.png" in names


def tables() -> None:
    for name, options in {
        "brotli": {"compression": "brotli"},
        "lz4": {"compression": "lz4"},
        "gzip": {"compression": "gzip"},
    }.items():
        parquet(empty(name) / "train.parquet", [0, 1, 0, 1], **options)
    folder = empty("paths_only")
    (folder / "images").mkdir()
    for n in range(4):
        (folder / "images" / f"{n}.png").write_bytes(picture(n))
    parquet(folder / "train.parquet", [0, 1, 0, 1], paths=[f"images/{n}.png" for n in range(4)])


def pointers() -> None:
    text = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 123456\n"
    for name in ("train.parquet", "a.tar", "data_batch_1.bin"):
        (empty("pointer_" + name.rsplit(".", 1)[1]) / name).write_text(text)
    (HERE / "pointer_bin" / "batches.meta.txt").write_text("cat\ndog\n")
    folder = empty("pointer_image")
    (folder / "cat").mkdir()
    for n in range(3):
        (folder / "cat" / f"{n}.png").write_bytes(picture(n))
    (folder / "cat" / "3.png").write_text(text)


def scenery(width: int, height: int) -> Image.Image:
    y, x = np.mgrid[0:height, 0:width]
    waves = [127 + 110 * np.sin(x / 7 + y / 11), 127 + 110 * np.cos(x / 5 - y / 9), 127 + 90 * np.sin(x / 4)]
    pixels = np.stack(waves, -1)
    pixels[height // 4 : height // 2, width // 4 : width // 2] = [230, 40, 30]
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def jpegs() -> None:
    folder = empty("jpeg")
    image = scenery(37, 29)

    def expect(path: Path) -> None:
        Image.open(path).convert("RGB").save(path.with_suffix(".png"), optimize=True)

    for name, options in {
        "444": {"subsampling": "4:4:4"},
        "422": {"subsampling": "4:2:2"},
        "420": {"subsampling": "4:2:0"},
        "420_restart": {"subsampling": "4:2:0", "restart_marker_blocks": 2},
        "420_progressive": {"subsampling": "4:2:0", "progressive": True},
        "rgb": {"keep_rgb": True},
    }.items():
        image.save(folder / f"{name}.jpg", quality=90, **options)
    image.convert("L").save(folder / "grey.jpg", quality=90)
    image.convert("CMYK").save(folder / "cmyk.jpg", quality=90)
    with tempfile.TemporaryDirectory() as scratch:
        source, scans = Path(scratch) / "in.ppm", Path(scratch) / "scans"
        image.save(source)
        for factors in ["1x1", "2x1", "1x2", "2x2", "4x1", "1x4", "3x1", "1x1,2x2,2x2"]:
            whole = Path(scratch) / "whole.jpg"
            subprocess.run(["cjpeg", "-quality", "90", "-sample", factors, "-outfile", whole, source], check=True)
            name = factors.replace(",", "_")
            shutil.copy(whole, folder / f"sample_{name}.jpg")
            for order, script in {"scans": "0;\n1;\n2;\n", "two_scans": "0;\n1 2;\n"}.items():
                scans.write_text(script)
                out = folder / f"{order}_{name}.jpg"
                subprocess.run(["jpegtran", "-scans", scans, "-outfile", out, whole], check=True)
    for path in sorted(folder.glob("*.jpg")):
        expect(path)


if __name__ == "__main__":
    labels_that_are_digits()
    parts()
    archives()
    tables()
    pointers()
    jpegs()
