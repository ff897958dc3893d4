#!/usr/bin/env python3
"""How well do models denoise? One number for every noise level, comparable between targets and weightings.

    python tests/pytorch/denoising_error.py --data data/emoji64 models/a models/b ...

For each bundle, the mean squared error of x̃ over the same images with the same noise, at fixed λ, as a table in
Markdown: with the image's class and, in the last column, with the null class. The error of x̃ does not depend on what
the network predicts, unlike the training loss. Images are reduced to the model's size by averaging. Needs torch,
safetensors, numpy and Pillow.
"""
import argparse
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file

from unet import UNet, UNetConfig, from_bundle

LOG_SNRS = [-6.0, -3.0, -1.0, 1.0, 3.0, 6.0]


def load_bundle(folder: Path) -> tuple[dict, UNet]:
    config = json.loads((folder / "config.json").read_text())
    image = config["image"]
    network = UNet(UNetConfig.from_json(config["network"]), image["size"], image["channels"], len(config["classes"]))
    tensors = {}
    for file in config["weights"]:
        tensors |= load_file(folder / file["file"])
    from_bundle(network, tensors)
    return config, network.eval()


def load_images(data: Path, config: dict, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """`count` images of each class, spread evenly over its files: [N, channels, size, size] in [-1, 1], and class ids."""
    size = config["image"]["size"]
    mode = "RGB" if config["image"]["channels"] == 3 else "L"
    pixels, labels = [], []
    for label, name in enumerate(config["classes"]):
        files = sorted(p for p in (data / name).rglob("*") if p.suffix.lower() in {".png", ".jpg", ".jpeg", ".webp"})
        for file in files[:: max(1, len(files) // count)][:count]:
            picture = Image.open(file).convert(mode).resize((size, size), Image.Resampling.BOX)
            pixels.append(np.asarray(picture, dtype=np.float32).reshape(size, size, -1).transpose(2, 0, 1))
            labels.append(label)
    return torch.tensor(np.stack(pixels)) / 127.5 - 1, torch.tensor(labels)


@torch.no_grad()
def error(config: dict, network: UNet, x: torch.Tensor, classes: torch.Tensor, log_snr: float) -> float:
    level = torch.tensor(log_snr, dtype=torch.float64)
    alpha, sigma = torch.sigmoid(level).sqrt().float(), torch.sigmoid(-level).sqrt().float()
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    z = alpha * x + sigma * noise
    output = network(z, torch.full((len(x),), log_snr), classes)
    target = config["diffusion"]["target"]
    estimate = (z - sigma * output) / alpha if target == "epsilon" else alpha * z - sigma * output
    return (estimate.clamp(-1, 1) - x).square().mean().item()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a folder with one sub-folder of images a class")
    parser.add_argument("--count", type=int, default=24, help="images of each class (24)")
    parser.add_argument("models", type=Path, nargs="+", help="bundle folders")
    args = parser.parse_args()
    print("| model | " + " | ".join(f"λ = {l:g}" for l in LOG_SNRS) + " | ∅, λ = -1 |")
    print("|---" * (len(LOG_SNRS) + 2) + "|")
    for folder in args.models:
        config, network = load_bundle(folder)
        x, classes = load_images(args.data, config, args.count)
        null = torch.full_like(classes, len(config["classes"]))
        errors = [error(config, network, x, classes, l) for l in LOG_SNRS] + [error(config, network, x, null, -1.0)]
        print(f"| {folder.name} | " + " | ".join(f"{e:.4f}" for e in errors) + " |", flush=True)


if __name__ == "__main__":
    main()
