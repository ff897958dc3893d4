"""Writes tests/fixtures/import/edm_*: state dictionaries of NVlabs/edm's own EDMPrecond, narrow and with random weights, and
what its network answers.

    git clone https://github.com/NVlabs/edm
    python tests/pytorch/make_edm_fixture.py edm

The checkout is used as it is, but for two constants that make a network narrow: the groups of its group normalisation (32)
and the channels of a head (64).
"""

import argparse
import functools
import math
import sys
from pathlib import Path

import torch

from import_fixture import FIXTURES, noisy_images, write_expected

GROUPS, HEAD = 2, 4
FLAGS = f"--norm_groups {GROUPS} --head_channels {HEAD}"

# name: (arguments of EDMPrecond, σ, labels)
CASES = {
    # As the published network of ImageNet 64x64, narrow.
    "edm_adm": (
        dict(img_resolution=16, img_channels=3, label_dim=4, model_type="DhariwalUNet", model_channels=8,
             channel_mult=[1, 2, 3], num_blocks=2, attn_resolutions=[8, 4], augment_dim=9),
        [0.01, 0.9, 30.0], [0, 3, 2],
    ),
    # Without classes, and with one level only that attends.
    "edm_unconditional": (
        dict(img_resolution=8, img_channels=1, model_type="DhariwalUNet", model_channels=16, channel_mult=[1, 1],
             num_blocks=1, attn_resolutions=[8]),
        [0.05, 2.0], None,
    ),
    # A network that cannot be imported.
    "edm_song": (
        dict(img_resolution=8, img_channels=3, label_dim=2, model_type="SongUNet", model_channels=8, channel_mult=[1, 1],
             num_blocks=1, attn_resolutions=[8]),
        None, None,
    ),
}


def narrow(networks) -> None:
    norm = networks.GroupNorm
    init = networks.UNetBlock.__init__

    # DhariwalUNet passes 64 channels a head itself, and layers narrower than that would have no attention.
    def narrow_init(self, *arguments, **keywords):
        init(self, *arguments, **{**keywords, "channels_per_head": HEAD})

    networks.UNetBlock.__init__ = narrow_init
    networks.GroupNorm = functools.partial(norm, num_groups=GROUPS)


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the fixtures of `import --from edm`.")
    parser.add_argument("checkout", type=Path, help="a checkout of NVlabs/edm")
    arguments = parser.parse_args()
    sys.path.insert(0, str(arguments.checkout))
    from training import networks

    narrow(networks)

    for seed, (name, (keywords, sigmas, labels)) in enumerate(CASES.items()):
        generator = torch.Generator().manual_seed(seed)
        model = networks.EDMPrecond(**keywords).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                value = torch.randn(parameter.shape, generator=generator)
                value *= 0.2 if parameter.dim() == 1 else parameter[0].numel() ** -0.5
                parameter.copy_(value.half())
        torch.save({key: value.half() for key, value in model.state_dict().items()}, FIXTURES / f"{name}.pt")
        if sigmas is None:
            continue
        size, channels = keywords["img_resolution"], keywords["img_channels"]
        x = noisy_images((len(sigmas), channels, size, size), seed)
        noise = torch.tensor([math.log(sigma) / 4 for sigma in sigmas])
        one_hot = None
        if labels is not None:
            one_hot = torch.nn.functional.one_hot(torch.tensor(labels), keywords["label_dim"]).float()
        with torch.no_grad():
            output = model.model(x, noise, one_hot)
            # And the denoiser's own answer, of images at these levels.
            sigma = torch.tensor(sigmas)
            denoised = model(x * sigma.reshape(-1, 1, 1, 1), sigma, one_hot)
        tensors = {"x": x, "timestep": noise, "sigma": sigma, "output": output, "denoised": denoised}
        if labels is not None:
            tensors["class"] = torch.tensor(labels).int()
        write_expected(name, tensors, {"flags": FLAGS})


if __name__ == "__main__":
    main()
