#!/bin/sh
# zune-jpeg 0.5.15, the JPEG decoder of image 0.25.10, does not decode these legal sequential JPEGs.
#
# 1. A JPEG may hold each component in a scan of its own (ITU T.81, A.2.2; jpegtran -scans, cameras and scanners write
#    them). At 4:2:0 zune-jpeg returns stripes, and no error.
# 2. Any component may be stored at full size, not the first alone (A.1.1). With a small first component it answers with an
#    internal error ("Would panic on slice iteration").
#
# Both files are made from JPEGs that Pillow writes: the scan of a grey JPEG is a legal scan of one component. Pillow
# (libjpeg-turbo) decodes both as they should be.
#
# Seen with Pillow 12.0.0, image 0.25.10, zune-jpeg 0.5.15 (largest and mean difference of a value, of 255):
#     small_first: Format error decoding Jpeg: "Would panic on slice iteration"
#     scans: Pillow and the picture 9 (mean 0.9), zune-jpeg and Pillow 228 (mean 113.0)
#     small_first: Pillow and the picture 8 (mean 0.9), zune-jpeg and Pillow an error
# Exits with 1 if that has changed.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet pillow==12.0.0 numpy==2.3.5

cat > make.py <<'PY'
import io, struct, sys
import numpy as np
from PIL import Image

SIDE = 64
y, x = np.mgrid[0:SIDE, 0:SIDE]
waves = [127 + 100 * np.sin(x / 9 + y / 13), 127 + 100 * np.cos(x / 11), 127 + 100 * np.sin(y / 10)]
picture = Image.fromarray(np.stack(waves, -1).astype(np.uint8))


def segments(plane):
    """The tables and the scan of a grey JPEG."""
    file = io.BytesIO()
    plane.save(file, "JPEG", quality=95)
    data, at, tables = file.getvalue(), 2, {0xDB: b"", 0xC4: b""}
    while True:
        marker, length = data[at + 1], struct.unpack(">H", data[at + 2 : at + 4])[0]
        if marker == 0xDA:
            return tables, data[at + 2 + length : -2]
        if marker in tables:
            tables[marker] += data[at : at + 2 + length]
        at += 2 + length


def compose(name, factors):
    """A JPEG of three scans, each component at its size."""
    most = max(f for f in factors)
    scans, tables = [], None
    for plane, factor in zip(picture.convert("YCbCr").split(), factors):
        size = SIDE * factor // most
        tables, scan = segments(plane.resize((size, size), Image.BOX))
        scans.append(scan)
    frame = struct.pack(">BHHB", 8, SIDE, SIDE, 3)
    frame += b"".join(bytes([number + 1, factor * 17, 0]) for number, factor in enumerate(factors))
    out = b"\xff\xd8" + tables[0xDB] + b"\xff\xc0" + struct.pack(">H", len(frame) + 2) + frame + tables[0xC4]
    for number, scan in enumerate(scans):
        out += b"\xff\xda\x00\x08\x01" + bytes([number + 1, 0]) + b"\x00\x3f\x00" + scan
    open(name, "wb").write(out + b"\xff\xd9")


def difference(one, other):
    gaps = np.abs(np.asarray(one).astype(int) - np.asarray(other).astype(int))
    return int(gaps.max()), round(float(gaps.mean()), 1)


if sys.argv[1:] == ["make"]:
    compose("scans.jpg", [2, 1, 1])
    compose("small_first.jpg", [1, 2, 2])
else:
    wrong = 0
    for name in ["scans", "small_first"]:
        right = Image.open(f"{name}.jpg").convert("RGB")
        (most, mean) = difference(right, picture)
        try:
            zune = Image.frombytes("RGB", (SIDE, SIDE), open(f"{name}.rgb", "rb").read())
            (far, far_mean) = difference(zune, right)
            answer = f"{far} (mean {far_mean})"
            wrong += name == "scans" and far_mean > 20
        except FileNotFoundError:
            answer = "an error"
            wrong += name == "small_first"
        print(f"{name}: Pillow and the picture {most} (mean {mean}), zune-jpeg and Pillow {answer}")
    sys.exit(wrong != 2)
PY
venv/bin/python make.py make

mkdir src
cat > Cargo.toml <<'TOML'
[package]
name = "scans"
version = "0.1.0"
edition = "2024"

[dependencies]
image = { version = "=0.25.10", default-features = false, features = ["jpeg"] }
zune-jpeg = "=0.5.15"

[workspace]
TOML
cat > src/main.rs <<'RUST'
fn main() {
    for name in ["scans", "small_first"] {
        match image::open(format!("{name}.jpg")) {
            Ok(image) => std::fs::write(format!("{name}.rgb"), image.to_rgb8().into_raw()).unwrap(),
            Err(error) => println!("{name}: {error}"),
        }
    }
}
RUST
cargo run --quiet
venv/bin/python make.py compare
