"""Writes tests/fixtures/unet_*.safetensors: what PyTorch computes for the networks of unet.py.

    python tests/pytorch/make_unet_fixture.py                  the fixtures of CASES
    python tests/pytorch/make_unet_fixture.py --self-test FILE unet_self_test.safetensors; see README.md for FILE

Everything is computed in 64-bit floats (but for the sinusoids, see unet.py) and rounded once, so that what the tests
measure is the error of the network under test alone. A fixture holds:

    weight.NAME             f16   every parameter under its name in a bundle; values that half precision has exactly
    z, log_snr, class       f32, f32, i32   one row for each image; the last class is the null class
    guidance, next_log_snr  f32   of students: w of each image, and the level that its step leads to
    attributes              f32   of a network of attributes: 1 or 0 for each
    number, has_number      f32   of a network of a number
    small, level            f32   of a network of super-resolution: the small picture of each image, and the level of its noise
    output                  f32   the network's
    cotangent               f32   what the loss weights the output with: loss = sum(cotangent * output)
    loss                    f32
    gradient.z, gradient.weight.NAME   f32   of that loss
    training.x, .noise      f32   images and noise for the training loss, at the rows' log_snr and class
    training.TARGET.WEIGHTING.loss     f32   for targets epsilon and v, weightings uniform and min-snr
    training.TARGET.WEIGHTING.gradient f32   of that loss, with respect to conditioning.class.weight

and, as JSON in the metadata `config`: image, classes (their number), network, as in a bundle's config.json.
"""

import argparse
import json
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn

from unet import UNet, UNetConfig, bundle_name, from_bundle, to_bundle

FIXTURES = Path(__file__).parent.parent / "fixtures"

# gamma of min-SNR weighting (Hang et al. 2023).
GAMMA = 5.0


def case(
    size: int, channels: int, classes: int, log_snr: list[float], labels: list, w=None, to=None, numbers=None, levels=None,
    **network,
) -> dict:
    config = {"image": {"size": size, "channels": channels}, "classes": classes, "network": {"kind": "unet", **network}}
    return {"config": config, "log_snr": log_snr, "labels": labels, "w": w, "to": to, "numbers": numbers, "levels": levels}


CASES = {
    # Attention in the first stage, and in the middle below it. A class twice, one not at all.
    "attention": case(
        8, 3, 3, [-7.5, 0.3, 2.25, 11.0], [1, 3, 1, 0],
        base_channels=6, channel_multipliers=[1, 2], residual_blocks=1, attention_resolutions=[8], head_channels=6,
        dropout=0.0, norm_groups=3,
    ),
    # Several heads, of two and three per stage; three stages that are multiples of one another; grey images.
    "heads": case(
        8, 1, 2, [-3.5, 4.75], [2, 1],
        base_channels=4, channel_multipliers=[1, 2, 3], residual_blocks=2, attention_resolutions=[4, 2],
        head_channels=4, dropout=0.0, norm_groups=2,
        log_snr_embedding={"min": -15.0, "max": 12.0, "scale": 60.0},
    ),
    # No attention but in the middle; channels that fall from stage to stage. Both ends of log_snr.
    "plain": case(
        4, 3, 1, [20.0, -20.0, 0.0], [0, 1, 0],
        base_channels=8, channel_multipliers=[2, 1], residual_blocks=1, attention_resolutions=[], head_channels=8,
        dropout=0.0, norm_groups=4,
    ),
    # One stage: nothing is resampled.
    "single": case(
        5, 3, 2, [-1.0, 6.5], [1, 2],
        base_channels=4, channel_multipliers=[1], residual_blocks=1, attention_resolutions=[5], head_channels=2,
        dropout=0.0, norm_groups=1,
    ),
    # Squares of 2x2 pixels seen as one, with attention in the first stage of half the image's size.
    "patch": case(
        8, 3, 2, [-2.5, 1.75, 8.0], [1, 2, 0],
        base_channels=6, channel_multipliers=[1, 2], residual_blocks=1, attention_resolutions=[4], head_channels=6,
        dropout=0.0, norm_groups=3, patch=2, input_skip=True,
    ),
    # A student, which takes w: both ends of its range, and 0.
    "student": case(
        8, 3, 2, [-2.5, 1.75, 8.0], [1, 2, 0], w=[-1.0, 0.0, 8.0],
        base_channels=6, channel_multipliers=[1, 2], residual_blocks=1, attention_resolutions=[4], head_channels=6,
        dropout=0.0, norm_groups=3, guidance={"kind": "input", "min": -1.0, "max": 8.0},
    ),
    # One of few steps, which also takes the level that a step leads to.
    "flow_map": case(
        8, 3, 2, [-9.0, 0.5, 1.5], [1, 2, 0], w=[-1.0, 0.0, 8.0], to=[0.5, 1.5, 12.0],
        base_channels=6, channel_multipliers=[1, 2], residual_blocks=1, attention_resolutions=[4], head_channels=6,
        dropout=0.0, norm_groups=3, guidance={"kind": "input", "min": -1.0, "max": 8.0}, flow_map={"max_steps": 4},
    ),
    # Attributes: two, one, none and all; and a number, which one row with attributes and one without do not have.
    "attributes": case(
        8, 3, 3, [-7.5, 0.3, 2.25, 11.0], [[1, 0, 1], [0, 1, 0], [0, 0, 0], [1, 1, 1]],
        numbers=[31.5, None, None, -10.0],
        base_channels=6, channel_multipliers=[1, 2], residual_blocks=1, attention_resolutions=[8], head_channels=6,
        dropout=0.0, norm_groups=3, conditions="attributes",
        number={"name": "age", "min": -10.0, "max": 60.0, "unit": "years"},
    ),
    # Super-resolution from 4x4 pixels, in squares of 2x2: no noise, some and the most.
    "super_resolution": case(
        8, 3, 2, [-2.5, 1.75, 8.0], [1, 2, 0], levels=[0.0, 0.2, 0.5],
        base_channels=6, channel_multipliers=[1, 2], residual_blocks=1, attention_resolutions=[4], head_channels=6,
        dropout=0.0, norm_groups=3, patch=2, input_skip=True, low_resolution=4,
    ),
}


def build(config: dict) -> UNet:
    image = config["image"]
    network = UNet(UNetConfig.from_json(config["network"]), image["size"], image["channels"], config["classes"])
    return network.double().eval()


def randomise(network: UNet, generator: torch.Generator) -> None:
    """Random weights everywhere, also where training begins with zeros and ones; activations stay of the order of 1."""
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            module = network.get_submodule(name.rpartition(".")[0])
            value = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            if name.endswith("bias"):
                value *= 0.2
            elif isinstance(module, nn.GroupNorm):
                value = 1 + 0.3 * value
            elif not isinstance(module, nn.Embedding):
                value *= parameter[0].numel() ** -0.5
            parameter.copy_(value.half())


def training_loss(network: UNet, target: str, weighting: str, x: Tensor, noise: Tensor, log_snr: Tensor, labels: Tensor):
    """Algorithm 1 of Ho & Salimans 2022, its squared error weighted over noise levels as the paper of the weighting has
    it: min-SNR by min(SNR, gamma) on the error of x."""
    snr = log_snr.exp()[:, None, None, None]
    alpha, sigma = (snr / (1 + snr)).sqrt(), (1 / (1 + snr)).sqrt()
    z = alpha * x + sigma * noise
    prediction = network(z, log_snr, labels)
    if weighting == "uniform":
        wanted = noise if target == "epsilon" else alpha * noise - sigma * x
        return (prediction - wanted).square().mean()
    predicted_x = (z - sigma * prediction) / alpha if target == "epsilon" else alpha * z - sigma * prediction
    return (snr.clamp(max=GAMMA) * (predicted_x - x).square()).mean()


def fixture(
    config: dict, log_snr: list[float], labels: list, w: list | None, to: list | None, numbers: list | None,
    levels: list | None, seed: int,
) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    network = build(config)
    randomise(network, generator)
    image = config["image"]
    shape = (len(labels), image["channels"], image["size"], image["size"])

    def normal() -> Tensor:  # numbers that 32-bit floats have exactly
        return torch.randn(shape, generator=generator).double()

    z, cotangent = normal().requires_grad_(), normal()
    log_snr, labels = torch.tensor(log_snr, dtype=torch.float64), torch.tensor(labels)
    several = labels.dim() == 2
    labels = labels.double() if several else labels
    number = has_number = None
    if numbers is not None:
        number = torch.tensor([0.0 if given is None else given for given in numbers], dtype=torch.float64)
        has_number = torch.tensor([float(given is not None) for given in numbers], dtype=torch.float64)
    w, to = (None if given is None else torch.tensor(given, dtype=torch.float64) for given in [w, to])
    small = level = None
    if levels is not None:
        side = config["network"]["low_resolution"]
        small = torch.randn((*shape[:2], side, side), generator=generator).double()
        level = torch.tensor(levels, dtype=torch.float64)
    output = network(z, log_snr, labels, w, to, number, has_number, small, level)
    loss = (cotangent * output).sum()
    names, parameters = zip(*network.named_parameters())
    of_z, *of_parameters = torch.autograd.grad(loss, [z, *parameters])

    tensors = {"z": z, "log_snr": log_snr, "cotangent": cotangent, "output": output, "loss": loss, "gradient.z": of_z}
    if w is not None:
        tensors["guidance"] = w
    if to is not None:
        tensors["next_log_snr"] = to
    if several:
        tensors["attributes"] = labels
    if number is not None:
        tensors |= {"number": number, "has_number": has_number}
    if small is not None:
        tensors |= {"small": small, "level": level}
    weights = {}
    for name, parameter, gradient in zip(names, parameters, of_parameters):
        key = f"weight.{bundle_name(name)}"
        weights[key] = to_bundle(network, name, parameter).detach().half()
        tensors[f"gradient.{key}"] = to_bundle(network, name, gradient)

    x, noise = normal().tanh().float().double(), normal()
    tensors |= {"training.x": x, "training.noise": noise}
    class_embedding = network.conditioning.class_.weight
    for target in ["epsilon", "v"]:
        for weighting in ["uniform", "min-snr"]:
            loss = training_loss(network, target, weighting, x, noise, log_snr, labels)
            tensors[f"training.{target}.{weighting}.loss"] = loss
            tensors[f"training.{target}.{weighting}.gradient"] = torch.autograd.grad(loss, class_embedding)[0]
    tensors = {name: value.detach().float().reshape(value.shape or (1,)) for name, value in tensors.items()}
    classes = torch.full((len(labels),), config["classes"]) if several else labels
    return tensors | weights | {"class": classes.int()}


def self_test(path: Path) -> tuple[dict, dict[str, Tensor]]:
    """The output for the network and the input in `path`, which a test has written."""
    with safe_open(path, "pt") as file:
        config = json.loads(file.metadata()["config"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}
    network = build(config)
    prefix = "weight."
    from_bundle(network, {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)})
    given = {name: tensors[name] for name in ["z", "log_snr", "class"]}
    with torch.no_grad():
        output = network(given["z"].double(), given["log_snr"].double(), given["class"].long())
    return config, given | {"output": output.float()}


def write(name: str, config: dict, tensors: dict[str, Tensor]) -> None:
    path = FIXTURES / f"unet_{name}.safetensors"
    tensors = {name: value.contiguous() for name, value in tensors.items()}
    path.write_bytes(save(tensors, {"config": json.dumps(config)}))
    rms = tensors["output"].square().mean().sqrt()
    print(f"{path.name}: {path.stat().st_size} bytes, {len(tensors)} tensors, output of rms {rms:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the fixtures of the parity tests.")
    parser.add_argument("--self-test", type=Path, metavar="FILE", help="the self-test's network, written by a test")
    arguments = parser.parse_args()
    FIXTURES.mkdir(exist_ok=True)
    if arguments.self_test:
        write("self_test", *self_test(arguments.self_test))
        return
    for seed, (name, made) in enumerate(CASES.items()):
        write(name, made["config"], fixture(**made, seed=seed))


if __name__ == "__main__":
    main()
