"""What the scripts that make the fixtures of `freeguide import` share: random weights, and the file that says what a
network answers.

tests/fixtures/import/NAME.expected.safetensors holds, for some rows,

    x          f32   noisy images
    timestep   f32   what the network was shown
    class      i32   where it has classes
    output     f32   what it answered, without the variance that some networks also estimate
    levels     f64   the noise levels of the schedule: log(alpha_bar / (1 - alpha_bar)) of every timestep
"""

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

FIXTURES = Path(__file__).parent.parent / "fixtures" / "import"


def randomise(network: nn.Module, seed: int) -> None:
    """Random weights everywhere, also where training begins with zeros and ones, that half precision has exactly;
    activations stay of the order of 1."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            module = network.get_submodule(name.rpartition(".")[0])
            value = torch.randn(parameter.shape, generator=generator)
            if name.endswith("bias"):
                value *= 0.2
            elif isinstance(module, nn.GroupNorm):
                value = 1 + 0.3 * value
            elif not isinstance(module, nn.Embedding):
                value *= parameter[0].numel() ** -0.5
            parameter.copy_(value.half())


def noisy_images(shape: tuple[int, ...], seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(1000 + seed)
    return torch.randn(shape, generator=generator).half().float()


def levels_of(alphas_cumprod: Tensor) -> Tensor:
    alphas_cumprod = alphas_cumprod.double()
    return torch.log(alphas_cumprod) - torch.log1p(-alphas_cumprod)


def write_expected(name: str, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    path = FIXTURES / f"{name}.expected.safetensors"
    save_file({key: value.contiguous() for key, value in tensors.items()}, path, metadata)
    rms = tensors["output"].square().mean().sqrt()
    print(f"{name}: output of rms {rms:.3f}")
