"""Trains the U-Net of unet.py in PyTorch on random images: the other side of `cargo xtask bench train`, which runs it
and measures what it costs.

A step is what freeguide's is: noise levels, the v-target, forward and backward pass, clipping of the global norm,
AdamW, and an exponential moving average of the weights. Everything is PyTorch's own, in 32-bit floats unless --precision
says otherwise (torch.autocast, with a gradient scaler for f16); --form says how the network runs, --device where.

    python tests/pytorch/bench_train.py --network '{"kind": "unet", …}' --size 16 --batch 64 --steps 30 --threads 2
"""

import argparse
import json

import torch
import torch.nn.functional as F

from unet import UNet, UNetConfig

CLASSES = 9
EMA_DECAY = 0.999


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--network", required=True, help="the section `network` of a config.json")
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True, help="0 is PyTorch's own choice")
    parser.add_argument("--form", choices=["eager", "channels_last", "compile"], default="eager")
    parser.add_argument("--precision", choices=["f32", "bf16", "f16"], default="f32")
    parser.add_argument("--device", choices=["cpu", "cuda", "auto"], default="cpu", help="auto: a GPU where there is one")
    given = parser.parse_args()
    if given.threads:
        torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    found = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(found if given.device == "auto" else given.device)
    half = {"bf16": torch.bfloat16, "f16": torch.float16}.get(given.precision)
    # As freeguide's f32, which is not rounded to TF32.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True

    config = UNetConfig.from_json(json.loads(given.network))
    network = UNet(config, given.size, 3, CLASSES).to(device)
    average = UNet(config, given.size, 3, CLASSES).to(device)
    average.load_state_dict(network.state_dict())
    forward = network
    if given.form == "channels_last":
        network.to(memory_format=torch.channels_last)
        average.to(memory_format=torch.channels_last)
    if given.form == "compile":
        forward = torch.compile(network)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=0.01)
    scaler = torch.amp.GradScaler(device.type, enabled=given.precision == "f16")
    images = torch.rand(256, 3, given.size, given.size) * 2 - 1

    def step() -> None:
        x = images[torch.randint(len(images), (given.batch,))].to(device)
        if given.form == "channels_last":
            x = x.to(memory_format=torch.channels_last)
        log_snr = torch.rand(given.batch, device=device) * 30 - 15
        classes = torch.randint(CLASSES + 1, (given.batch,), device=device)
        alpha = log_snr.sigmoid().sqrt()[:, None, None, None]
        sigma = (-log_snr).sigmoid().sqrt()[:, None, None, None]
        noise = torch.randn_like(x)
        v = alpha * noise - sigma * x
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device.type, dtype=half, enabled=half is not None):
            answer = forward(alpha * x + sigma * noise, log_snr, classes)
        scaler.scale(F.mse_loss(answer.float(), v)).backward()
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
        with torch.no_grad():
            torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), 1 - EMA_DECAY)

    for _ in range(given.steps):
        step()
    if device.type == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
