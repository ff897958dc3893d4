"""Writes tests/fixtures/import/diffusers_*: folders as diffusers saves them, with its own UNet2DModel and DDPMScheduler,
narrow and with random weights, and what they answer.

    pip install torch diffusers
    python tests/pytorch/make_diffusers_fixture.py
"""

import shutil

import torch
from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel
from safetensors.torch import save_file

from import_fixture import FIXTURES, levels_of, noisy_images, randomise, write_expected

# What attention's layers are called in folders that were saved before diffusers 0.15.
FORMER_NAMES = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}

# name: (network, schedule, timesteps, labels, how it is saved)
CASES = {
    # Class-conditional, with what diffusers has by default otherwise; a pipeline's folder.
    "diffusers_class": (
        dict(
            sample_size=8, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4, num_class_embeds=4,
            down_block_types=("DownBlock2D", "AttnDownBlock2D"), up_block_types=("AttnUpBlock2D", "UpBlock2D"),
        ),
        dict(), [0, 999, 400], [3, 0, 1], "pipeline",
    ),
    # As google/ddpm-cifar10-32 is: unconditional, sines first, padding after, a .bin with the names of former years.
    "diffusers_ddpm": (
        dict(
            sample_size=8, block_out_channels=(4, 8, 8), layers_per_block=1, norm_num_groups=2, norm_eps=1e-6,
            flip_sin_to_cos=False, freq_shift=1, downsample_padding=0, attention_head_dim=None, dropout=0.1,
            down_block_types=("DownBlock2D", "AttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
        ),
        dict(beta_schedule="linear", clip_sample=True), [10, 800], None, "former",
    ),
    # Blocks that resample, as ADM's do; widths that are no multiples of the first; v, and a cosine.
    "diffusers_resnet": (
        dict(
            sample_size=8, in_channels=1, out_channels=1, block_out_channels=(8, 12), layers_per_block=2,
            norm_num_groups=4, attention_head_dim=4, resnet_time_scale_shift="scale_shift", num_class_embeds=3,
            downsample_type="resnet", upsample_type="resnet", time_embedding_dim=20,
            down_block_types=("AttnDownBlock2D", "AttnDownBlock2D"), up_block_types=("AttnUpBlock2D", "AttnUpBlock2D"),
        ),
        dict(beta_schedule="squaredcos_cap_v2", prediction_type="v_prediction"), [1, 640], [2, 1], "model",
    ),
    # No attention in the middle; a learned variance; a schedule of its own.
    "diffusers_learned": (
        dict(
            sample_size=8, out_channels=6, block_out_channels=(8, 8), layers_per_block=1, norm_num_groups=4,
            add_attention=False, down_block_types=("DownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "UpBlock2D"), num_class_embeds=2,
        ),
        dict(num_train_timesteps=50, beta_schedule="scaled_linear", beta_start=0.001, beta_end=0.2,
             variance_type="learned_range"),
        [49, 3], [0, 1], "model",
    ),
}


def save(name: str, network: UNet2DModel, scheduler: DDPMScheduler, how: str) -> None:
    folder = FIXTURES / name
    shutil.rmtree(folder, ignore_errors=True)
    half = network.half()
    if how == "pipeline":
        DDPMPipeline(half, scheduler).save_pretrained(folder)
        return
    half.save_pretrained(folder)
    scheduler.save_pretrained(folder)
    if how == "former":
        state = {}
        for key, value in half.state_dict().items():
            for now, then in FORMER_NAMES.items():
                key = key.replace(f".{now}.", f".{then}.") if "attentions" in key else key
            state[key] = value
        (folder / "diffusion_pytorch_model.safetensors").unlink()
        torch.save(state, folder / "diffusion_pytorch_model.bin")


def main() -> None:
    for seed, (name, (network, schedule, timesteps, labels, how)) in enumerate(CASES.items()):
        model = UNet2DModel(**network).eval()
        randomise(model, 10 + seed)
        scheduler = DDPMScheduler(**schedule)
        x = noisy_images((len(timesteps), model.config.in_channels, 8, 8), 10 + seed)
        timesteps = torch.tensor(timesteps)
        labels = None if labels is None else torch.tensor(labels)
        with torch.no_grad():
            output = model(x, timesteps, labels).sample[:, : x.shape[1]]
        tensors = {"x": x, "timestep": timesteps.float(), "output": output}
        if labels is not None:
            tensors["class"] = labels.int()
        tensors["levels"] = levels_of(scheduler.alphas_cumprod)
        write_expected(name, tensors)
        save(name, model, scheduler, how)
        # diffusers reads it back, also by the names of former years.
        folder = FIXTURES / name / "unet" if how == "pipeline" else FIXTURES / name
        again = UNet2DModel.from_pretrained(folder, use_safetensors=how != "former").eval()
        with torch.no_grad():
            assert torch.allclose(again(x, timesteps, labels).sample[:, : x.shape[1]], output, atol=1e-5), name


if __name__ == "__main__":
    main()
