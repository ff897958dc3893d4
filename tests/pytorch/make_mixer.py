"""Writes tests/fixtures/mixer.onnx: a denoiser that is no U-Net, trained here, for `cargo xtask compile-onnx`.

    python tests/pytorch/make_mixer.py

An MLP-Mixer (Tolstikhin et al. 2021) over patches of 2x2 pixels, conditioned on the log signal-to-noise ratio and on the
class, is trained with classifier-free guidance (Ho & Salimans 2022, Algorithm 1) on coloured shapes of 8x8 pixels that
are drawn below: discs, squares and triangles. The file has the signature that compile-onnx documents: z [batch, 3, 8, 8],
log_snr [batch], class [batch] in, prediction (v) out, and metadata that names the classes. Beside it,
mixer_expected.safetensors has an input and the output that PyTorch computes.
"""

import argparse
import json
import math
from pathlib import Path

import onnx
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

FIXTURES = Path(__file__).parent.parent / "fixtures"
CLASSES = ["disc", "square", "triangle"]
SIZE, PATCH, WIDTH = 8, 2, 48
TOKENS = (SIZE // PATCH) ** 2


class Mixing(nn.Module):
    """One layer: an MLP across the tokens, then one across the channels, each with a residual connection."""

    def __init__(self):
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(2))
        self.modulation = nn.Linear(WIDTH, 2 * WIDTH)
        self.tokens = nn.Sequential(nn.Linear(TOKENS, 2 * TOKENS), nn.GELU(), nn.Linear(2 * TOKENS, TOKENS))
        self.channels = nn.Sequential(nn.Linear(WIDTH, 2 * WIDTH), nn.GELU(), nn.Linear(2 * WIDTH, WIDTH))

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        scale, shift = self.modulation(embedding)[:, None].split(WIDTH, dim=2)
        hidden = self.norms[0](x) * (1 + scale) + shift
        x = x + self.tokens(hidden.transpose(1, 2)).transpose(1, 2)
        return x + self.channels(self.norms[1](x))


class Mixer(nn.Module):
    """forward(z [batch, 3, 8, 8], log_snr [batch], classes [batch]) -> v, like z."""

    def __init__(self):
        super().__init__()
        frequencies = torch.exp(-math.log(100.0) * torch.arange(WIDTH // 2) / (WIDTH // 2))
        self.register_buffer("frequencies", frequencies, persistent=False)
        self.time = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.SiLU(), nn.Linear(WIDTH, WIDTH))
        self.class_ = nn.Embedding(len(CLASSES) + 1, WIDTH)
        self.patches = nn.Conv2d(3, WIDTH, PATCH, stride=PATCH)
        self.positions = nn.Parameter(0.02 * torch.randn(TOKENS, WIDTH))
        self.layers = nn.ModuleList(Mixing() for _ in range(3))
        self.norm = nn.LayerNorm(WIDTH)
        self.output = nn.Linear(WIDTH, 3 * PATCH * PATCH)

    def forward(self, z: Tensor, log_snr: Tensor, classes: Tensor) -> Tensor:
        angles = 4 * log_snr[:, None] * self.frequencies
        embedding = F.silu(self.time(torch.cat([angles.cos(), angles.sin()], dim=1)) + self.class_(classes))
        x = self.patches(z).flatten(2).transpose(1, 2) + self.positions
        for layer in self.layers:
            x = layer(x, embedding)
        side = SIZE // PATCH
        x = self.output(self.norm(x)).reshape(-1, side, side, 3, PATCH, PATCH)
        return x.permute(0, 3, 1, 4, 2, 5).reshape(-1, 3, SIZE, SIZE)


def shapes(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Coloured shapes on white at random places: [count, 3, 8, 8] in [-1, 1], and their classes."""
    classes = torch.randint(len(CLASSES), (count,), generator=generator)
    centre = 3 + 2 * torch.rand(count, 2, 1, 1, generator=generator)
    radius = 2 + torch.rand(count, 1, 1, generator=generator)
    colour = torch.rand(count, 3, 1, 1, generator=generator) * 0.7
    row, column = torch.meshgrid(torch.arange(8) + 0.5, torch.arange(8) + 0.5, indexing="ij")
    down, right = row - centre[:, 0], column - centre[:, 1]
    disc = radius - (down**2 + right**2).sqrt()
    square = radius - torch.maximum(down.abs(), right.abs())
    triangle = torch.minimum(radius - down, (down + radius) / 2 - right.abs())
    inside = torch.stack([disc, square, triangle])[classes, torch.arange(count)]
    cover = (inside + 0.5).clamp(0, 1)[:, None]
    return 2 * (cover * colour + 1 - cover) - 1, classes


def train(steps: int, generator: torch.Generator) -> Mixer:
    network = Mixer()
    average = Mixer()
    average.load_state_dict(network.state_dict())
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=0.01)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, steps, pct_start=0.05)
    low, high = math.atan(math.exp(-7.5)), math.atan(math.exp(7.5))  # log_snr from -15 to 15
    for step in range(steps):
        x, classes = shapes(128, generator)
        u = (torch.arange(128) + torch.rand(128, generator=generator)) / 128
        log_snr = -2 * torch.log(torch.tan((high - low) * u + low))
        noise = torch.randn(x.shape, generator=generator)
        classes = torch.where(torch.rand(128, generator=generator) < 0.15, len(CLASSES), classes)
        alpha, sigma = (torch.sigmoid(sign * log_snr).sqrt()[:, None, None, None] for sign in (1, -1))
        prediction = network(alpha * x + sigma * noise, log_snr, classes)
        loss = (prediction - (alpha * noise - sigma * x)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rate.step()
        with torch.no_grad():
            for mean, now in zip(average.parameters(), network.parameters()):
                mean.lerp_(now, 1 / min(step + 1, 500))
        if step % 500 == 0 or step + 1 == steps:
            print(f"step {step}: loss {loss.item():.4f}")
    return average.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the mixer and write it as ONNX.")
    parser.add_argument("--steps", type=int, default=6000, help="training steps (6000)")
    parser.add_argument("--out", type=Path, default=FIXTURES, help="folder of the two files (tests/fixtures)")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    network = train(arguments.steps, generator)
    z = torch.randn(4, 3, SIZE, SIZE, generator=generator)
    log_snr, classes = torch.tensor([-9.0, -1.5, 0.5, 6.0]), torch.tensor([0, 3, 2, 1])
    path = arguments.out / "mixer.onnx"
    batch = {0: "batch"}
    torch.onnx.export(
        network,
        (z, log_snr, classes),
        path,
        input_names=["z", "log_snr", "class"],
        output_names=["prediction"],
        dynamic_axes={"z": batch, "log_snr": batch, "class": batch, "prediction": batch},
        opset_version=18,
        dynamo=False,
    )
    model = onnx.load(path)
    about = {
        "name": "mixer",
        "classes": json.dumps(CLASSES),
        "target": "v",
        "log_snr_min": "-15",
        "log_snr_max": "15",
        "dataset": "discs, squares and triangles drawn by tests/pytorch/make_mixer.py",
        "license": "MIT OR Apache-2.0",
        "attribution": "The freeguide developers",
    }
    onnx.helper.set_model_props(model, about)
    onnx.save(model, path)
    with torch.no_grad():
        prediction = network(z, log_snr, classes)
    tensors = {"z": z, "log_snr": log_snr, "class": classes.int(), "prediction": prediction}
    save_file(tensors, arguments.out / "mixer_expected.safetensors")
    print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
