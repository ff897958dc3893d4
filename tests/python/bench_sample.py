"""Samples an exported denoiser in ONNX Runtime by guided steps of DDIM: the other side of `cargo xtask bench sample`, which
runs it and measures what it costs.

    python tests/python/bench_sample.py denoiser.onnx IMAGES STEPS
"""

import sys

import numpy as np
import onnxruntime

GUIDANCE = np.float32(2)


def main() -> None:
    path, images, steps = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    inputs = {given.name: given for given in session.get_inputs()}
    classes_type = np.int64 if "int64" in inputs["class"].type else np.int32
    shape = [images] + list(inputs["z"].shape[1:])
    z = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    # The network does not care which classes it is asked for.
    classes = np.repeat(np.array([0, 1], classes_type), images)
    levels = np.linspace(-15, 15, steps + 1, dtype=np.float32)
    for level, following in zip(levels, levels[1:]):
        rows = {"z": np.concatenate([z, z]), "log_snr": np.full(2 * images, level), "class": classes}
        conditional, free = np.split(session.run(None, rows)[0], 2)
        v = (1 + GUIDANCE) * conditional - GUIDANCE * free
        alpha, sigma = np.sqrt(1 / (1 + np.exp(-level))), np.sqrt(1 / (1 + np.exp(level)))
        x = np.clip(alpha * z - sigma * v, -1, 1)
        epsilon = (z - alpha * x) / sigma
        z = x * np.sqrt(1 / (1 + np.exp(-following))) + epsilon * np.sqrt(1 / (1 + np.exp(following)))
        z = z.astype(np.float32)


if __name__ == "__main__":
    main()
