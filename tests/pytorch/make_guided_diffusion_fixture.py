"""Writes tests/fixtures/import/guided_*: checkpoints of openai/guided-diffusion's own UNetModel, narrow and with random
weights, and what it answers.

    git clone https://github.com/openai/guided-diffusion
    python tests/pytorch/make_guided_diffusion_fixture.py guided-diffusion
    python tests/pytorch/make_guided_diffusion_fixture.py guided-diffusion --full adm64.pt

The second form writes a checkpoint of the paper's 64x64 network in full width, 1.2 GB, and its answer beside it; the
test `the_papers_network_in_full` reads them.

The checkout is used as it is, but for three constants that make a network narrow: the groups of its group normalisation
(32), the number of ImageNet's classes (1000) and, where a width needs it, the channels of a head.
"""

import argparse
import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from import_fixture import FIXTURES, levels_of, noisy_images, randomise, write_expected

# The flags that the repository publishes for 64x64_diffusion.pt.
PUBLISHED = (
    "--attention_resolutions 32,16,8 --class_cond True --diffusion_steps 1000 --dropout 0.1 --image_size 64 "
    "--learn_sigma True --noise_schedule cosine --num_channels 192 --num_head_channels 64 --num_res_blocks 3 "
    "--resblock_updown True --use_new_attention_order True --use_fp16 True --use_scale_shift_norm True"
)

# name: (flags, groups, classes, timesteps, labels)
CASES = {
    # The published network, narrow: as the guidance paper has it, with a null class and without a learned variance.
    "guided_adm64": (
        PUBLISHED.replace("num_channels 192", "num_channels 4").replace("num_head_channels 64", "num_head_channels 4")
        .replace("learn_sigma True", "learn_sigma False"),
        2, 1001, [125.0, 700.0], [7, 1000],
    ),
    # The published network, narrower still in blocks, with a learned variance and without a null class.
    "guided_learned": (
        PUBLISHED.replace("num_channels 192", "num_channels 8").replace("num_head_channels 64", "num_head_channels 4")
        .replace("num_res_blocks 3", "num_res_blocks 1").replace("image_size 64", "image_size 16")
        .replace("attention_resolutions 32,16,8", "attention_resolutions 8 --channel_mult 1,2"),
        4, 5, [0.0, 999.0, 500.0], [0, 4, 2],
    ),
    # What the flags are by default: the old order of attention, a number of heads, convolutions that resample, a
    # linear schedule; and an embedding that is only added.
    "guided_default": (
        "--image_size 8 --class_cond True --num_channels 8 --num_res_blocks 2 --attention_resolutions 8,4 "
        "--channel_mult 1,2 --use_scale_shift_norm False --num_heads 2",
        2, 3, [1.0, 250.0], [2, 0],
    ),
    # No classes; fractional timesteps of a schedule of another length.
    "guided_unconditional": (
        "--image_size 8 --num_channels 8 --num_res_blocks 1 --attention_resolutions 4 --channel_mult 2,1 "
        "--num_head_channels 8 --diffusion_steps 400 --noise_schedule linear --rescale_timesteps True",
        4, None, [2.5, 500.0], None,
    ),
}


# A classifier of noisy images as the repository publishes it, narrow: (flags, groups, classes, timesteps, labels).
CLASSIFIER = (
    "--image_size 16 --classifier_width 8 --classifier_depth 1 --classifier_attention_resolutions 8,4 --channel_mult 1,2,2 "
    "--num_head_channels 4 --noise_schedule cosine",
    4, 6, [40.0, 700.0, 300.0], [5, 0, 2],
)


def write_classifier(unet, nn, gaussian_diffusion) -> None:
    flags, groups, classes, timesteps, labels = CLASSIFIER
    unet.normalization = lambda channels: nn.GroupNorm32(groups, channels)
    model = unet.EncoderUNetModel(
        image_size=16, in_channels=3, model_channels=8, out_channels=classes, num_res_blocks=1, attention_resolutions=(2, 4),
        channel_mult=(1, 2, 2), num_head_channels=4, use_scale_shift_norm=True, resblock_updown=True, pool="attention",
    )
    randomise(model, 40)
    torch.save({key: value.half() for key, value in model.state_dict().items()}, FIXTURES / "guided_classifier.pt")
    x, timesteps, labels = noisy_images((3, 3, 16, 16), 40).requires_grad_(), torch.tensor(timesteps), torch.tensor(labels)
    logits = model.eval()(x, timesteps)
    chosen = torch.log_softmax(logits, dim=-1)[range(3), labels]
    (gradient,) = torch.autograd.grad(chosen.sum(), x)
    betas = gaussian_diffusion.get_named_beta_schedule("cosine", 1000)
    levels = levels_of(torch.from_numpy((1.0 - betas).cumprod()))
    tensors = {"x": x.detach(), "timestep": timesteps, "class": labels.int(), "output": logits.detach(), "gradient": gradient, "levels": levels}
    write_expected("guided_classifier", tensors, {"flags": f"{flags} --norm_groups {groups}"})


def options(script_util, flags: str) -> dict:
    """The flags as the repository's own scripts read them."""
    parser = argparse.ArgumentParser()
    script_util.add_dict_to_argparser(parser, script_util.model_and_diffusion_defaults())
    return vars(parser.parse_args(flags.split()))


def build(modules, flags: str, groups: int, classes: int | None):
    script_util, unet, nn = modules
    script_util.NUM_CLASSES = classes
    unet.normalization = lambda channels: nn.GroupNorm32(groups, channels)
    chosen = options(script_util, flags) | {"use_fp16": False}
    return script_util.create_model_and_diffusion(**chosen)


def answer(model, x, timesteps, labels):
    with torch.no_grad():
        return model.eval()(x, timesteps, labels)[:, : x.shape[1]]


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the fixtures of `import --from guided-diffusion`.")
    parser.add_argument("checkout", type=Path, help="a checkout of openai/guided-diffusion")
    parser.add_argument("--full", type=Path, metavar="FILE", help="write the network in full width instead")
    arguments = parser.parse_args()
    sys.path.insert(0, str(arguments.checkout))
    from guided_diffusion import gaussian_diffusion, nn, script_util, unet

    modules = script_util, unet, nn
    in_full = PUBLISHED.replace("learn_sigma True", "learn_sigma False")
    with torch.device("meta"):
        model, _ = build(modules, in_full, 32, 1001)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    print(f"adm64 with 1001 classes: {parameters} parameters")

    if arguments.full:
        model, _ = build(modules, in_full, 32, 1001)
        randomise(model, 0)
        torch.save(model.state_dict(), arguments.full)
        x, timesteps, labels = noisy_images((1, 3, 64, 64), 0), torch.tensor([125.0]), torch.tensor([7])
        output = answer(model, x, timesteps, labels)
        expected = {"x": x, "timestep": timesteps, "class": labels.int(), "output": output}
        save_file(expected, arguments.full.with_suffix(".expected.safetensors"), {"flags": in_full})
        return

    write_classifier(unet, nn, gaussian_diffusion)
    for seed, (name, (flags, groups, classes, timesteps, labels)) in enumerate(CASES.items()):
        model, diffusion = build(modules, flags, groups, classes)
        randomise(model, seed)
        state = {key: value.half() for key, value in model.state_dict().items()}
        torch.save(state, FIXTURES / f"{name}.pt")
        size = options(script_util, flags)["image_size"]
        x = noisy_images((len(timesteps), 3, size, size), seed)
        timesteps = torch.tensor(timesteps)
        labels = None if labels is None else torch.tensor(labels)
        tensors = {"x": x, "timestep": timesteps, "output": answer(model, x, timesteps, labels)}
        if labels is not None:
            tensors["class"] = labels.int()
        tensors["levels"] = levels_of(torch.from_numpy(diffusion.alphas_cumprod))
        metadata = {"flags": f"{flags} --norm_groups {groups}", "adm64_parameters": json.dumps(parameters)}
        write_expected(name, tensors, metadata)


if __name__ == "__main__":
    main()
