#!/usr/bin/env python3
"""How well do pictures fit to themselves at opposite edges? Noise rolling against cyclic borders of all convolutions.

    python tests/pytorch/tileable_borders.py models/cifar10-small models/tiny-imagenet20

For each bundle and number of steps, as a table in Markdown: the mean absolute difference of pixels that face each other
across opposite edges, divided by that of neighbours inside the pictures, of the same seeds drawn as the network is, with
the latents rolled by another offset at every step, with `padding_mode="circular"` in every convolution, and with both. 1 is
a seamless picture. DDIM, w = 2, the median of twelve pictures. Needs torch and safetensors.
"""
import argparse
import math
from pathlib import Path

import torch
from denoising_error import load_bundle
from torch import Tensor, nn

WAYS = {"neither": (False, False), "rolled": (True, False), "cyclic": (False, True), "both": (True, True)}


def levels(config: dict, steps: int) -> list[float]:
    """Equal steps in u of the paper's schedule, lambda = -2 log tan(a u + b)."""
    bounds = config["diffusion"]["log_snr"]
    first, last = math.atan(math.exp(-bounds["max"] / 2)), math.atan(math.exp(-bounds["min"] / 2))
    return [-2 * math.log(math.tan(first + (last - first) * (1 - step / (steps - 1)))) for step in range(steps)]


@torch.no_grad()
def draw(config: dict, network: nn.Module, count: int, steps: int, rolled: bool, w: float = 2.0) -> Tensor:
    image, target = config["image"], config["diffusion"]["target"]
    random = torch.Generator().manual_seed(0)
    size, null = image["size"], len(config["classes"])
    z = torch.randn(count, image["channels"], size, size, generator=random)
    classes = torch.cat([torch.arange(count) % null, torch.full((count,), null)])
    grid = levels(config, steps)
    for log_snr, following in zip(grid, [*grid[1:], None]):
        shift = torch.randint(size, (2,), generator=random).tolist() if rolled else [0, 0]
        shown = z.roll(shift, (2, 3))
        output = network(shown.repeat(2, 1, 1, 1), torch.full((2 * count,), log_snr), classes)
        output = output.roll([-by for by in shift], (2, 3))
        alpha, sigma = (torch.sigmoid(torch.tensor(sign * log_snr, dtype=torch.float64)).sqrt().item() for sign in (1, -1))
        own, second = output.chunk(2)
        mixed = (1 + w) * own - w * second
        x = (z - sigma * mixed) / alpha if target == "epsilon" else alpha * z - sigma * mixed
        x = x.clamp(-1, 1)
        if following is None:
            return x
        noise = (z - alpha * x) / sigma
        next_alpha, next_sigma = (torch.sigmoid(torch.tensor(sign * following, dtype=torch.float64)).sqrt().item() for sign in (1, -1))
        z = next_alpha * x + next_sigma * noise


def seam(x: Tensor) -> float:
    """Across opposite edges against inside, the median over pictures and both directions."""
    ratios = []
    for side in (2, 3):
        change = (x - x.roll(-1, side)).abs().mean(1, keepdim=True)
        inside, across = change.narrow(side, 0, x.shape[side] - 1), change.narrow(side, x.shape[side] - 1, 1)
        ratios.append(across.mean((1, 2, 3)) / inside.mean((1, 2, 3)).clamp(min=1e-6))
    return torch.stack(ratios).median().item()


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("bundles", nargs="+", type=Path)
    arguments.add_argument("--steps", nargs="+", type=int, default=[8, 32])
    arguments.add_argument("--count", type=int, default=12)
    options = arguments.parse_args()
    print(f"| model | steps | {' | '.join(WAYS)} |\n|{'---|' * (len(WAYS) + 2)}")
    for bundle in options.bundles:
        config, network = load_bundle(bundle)
        convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d) and module.kernel_size != (1, 1)]
        for steps in options.steps:
            figures = []
            for rolled, cyclic in WAYS.values():
                for convolution in convolutions:
                    convolution.padding_mode = "circular" if cyclic else "zeros"
                figures.append(seam(draw(config, network, options.count, steps, rolled)))
            print(f"| {bundle.name} | {steps} | {' | '.join(f'{figure:.2f}' for figure in figures)} |", flush=True)


if __name__ == "__main__":
    main()
