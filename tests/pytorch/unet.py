"""The denoiser of freeguide in PyTorch: the U-Net of Dhariwal & Nichol 2021 ("ADM"), conditioned on the log
signal-to-noise ratio and on the class, with the null class as the last entry of the class embedding.

    config, network = load("folder")      # what `freeguide export --format safetensors` has written, this file included
    prediction = network(z, log_snr, classes)       # classes: ids; len(config["classes"]) is the null class
    prediction = network(z, log_snr, classes, w)    # a student, which takes the guidance strength w
    prediction = network(z, log_snr, classes, w, next_log_snr)   # one of few steps, and the level that the step leads to
    prediction = network(z, log_snr, flags)         # one of attributes: 1 or 0 for each, [batch, len(config["classes"])]
    prediction = network(z, log_snr, labels, number=age, has_number=given)   # one of a number: given is 1, or 0 without it
    prediction = network(z, log_snr, classes, small=y, level=s)   # one of super-resolution; y has the noise of level s, 0 to 1

z = alpha x + sigma epsilon, alpha^2 = sigmoid(log_snr), sigma^2 = sigmoid(-log_snr), x in [-1, 1]. The prediction is
epsilon, or v = alpha epsilon - sigma x, as config["diffusion"]["target"] says.

Written from the paper for the parity tests: it shares no code with the Rust network, and every layer is torch.nn's own.
Parameters have the names of a bundle (`bundle_name`), and `from_bundle` and `to_bundle` convert the layout.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass
class LogSnrEmbedding:
    """t = scale * (max - log_snr) / (max - min), the argument of the sinusoidal embedding."""

    min: float = -20.0
    max: float = 20.0
    scale: float = 1000.0


@dataclass
class GuidanceInput:
    """The strengths that a student takes, from min to max."""

    min: float
    max: float
    kind: str = "input"


@dataclass
class UNetConfig:
    """The section `network` of a bundle's config.json."""

    base_channels: int
    channel_multipliers: list[int]
    residual_blocks: int
    attention_resolutions: list[int]
    head_channels: int = 64
    dropout: float = 0.0
    norm_groups: int = 32
    patch: int = 1
    input_skip: bool = False
    log_snr_embedding: LogSnrEmbedding | None = None
    guidance: GuidanceInput | None = None
    flow_map: dict | None = None
    conditions: str = "classes"
    number: dict | None = None
    low_resolution: int | None = None
    augmentation: float = 0.5

    @classmethod
    def from_json(cls, section: dict) -> "UNetConfig":
        fields = dict(section)
        if fields.pop("kind") != "unet":
            raise ValueError("the network is not a U-Net")
        fields.setdefault("attention_resolutions", [])
        fields["log_snr_embedding"] = LogSnrEmbedding(**fields.get("log_snr_embedding", {}))
        if "guidance" in fields:
            fields["guidance"] = GuidanceInput(**fields["guidance"])
        return cls(**fields)


def resample(x: Tensor, how: str | None) -> Tensor:
    if how == "down":
        return F.avg_pool2d(x, 2)
    if how == "up":
        return F.interpolate(x, scale_factor=2, mode="nearest")
    return x


def sinusoids(t: Tensor, channels: int) -> Tensor:
    """cos, then sin, of t at frequencies from 1 to almost 1/10000: [batch, channels].

    Always in 32-bit floats: an angle of up to 1000 rad is rounded by up to 3e-5 rad in them, which is a property
    of the embedding and none of the implementation.
    """
    half = channels // 2
    exponents = torch.arange(half, dtype=torch.float64) / half
    frequencies = torch.exp(-math.log(10_000.0) * exponents).float()
    angles = t.float()[:, None] * frequencies[None, :]
    return torch.cat([angles.cos(), angles.sin()], dim=1).to(t.dtype)


class InputEmbedding(nn.Module):
    """MLP(sinusoids of a number from 0 to 100): [batch, 4 * base_channels]. Without biases it is 0 where given is 0."""

    def __init__(self, config: UNetConfig, bias: bool = True):
        super().__init__()
        width = 4 * config.base_channels
        self.input = nn.Linear(config.base_channels, width, bias=bias)
        self.output = nn.Linear(width, width, bias=bias)

    def forward(self, t: Tensor, given: Tensor | None = None) -> Tensor:
        angles = sinusoids(t.float(), self.input.in_features)
        angles = angles if given is None else angles * given[:, None]
        return self.output(F.silu(self.input(angles.to(self.input.weight.dtype))))


class Conditioning(nn.Module):
    """silu(MLP(sinusoids of log_snr) + embedding of the class + embedding of w): [batch, 4 * base_channels]."""

    def __init__(self, config: UNetConfig, classes: int):
        super().__init__()
        width = 4 * config.base_channels
        self.scaling = config.log_snr_embedding
        self.log_snr_in = nn.Linear(config.base_channels, width)
        self.log_snr_out = nn.Linear(width, width)
        self.class_ = nn.Embedding(classes + 1, width)
        self.range = config.guidance
        self.guidance = InputEmbedding(config) if config.guidance else None
        self.next_log_snr = InputEmbedding(config) if config.flow_map else None
        self.number_range = config.number
        self.number = InputEmbedding(config, bias=False) if config.number else None
        self.augmentation = InputEmbedding(config) if config.low_resolution else None
        self.attributes = config.conditions == "attributes"

    def forward(
        self,
        log_snr: Tensor,
        classes: Tensor,
        w: Tensor | None,
        next_log_snr: Tensor | None,
        number: Tensor | None,
        has_number: Tensor | None,
        level: Tensor | None,
    ) -> Tensor:
        scaling = self.scaling
        t = (scaling.max - log_snr.float()) * (scaling.scale / (scaling.max - scaling.min))
        time = self.log_snr_out(F.silu(self.log_snr_in(sinusoids(t, self.log_snr_in.in_features).to(log_snr.dtype))))
        if self.attributes:
            none = F.relu(1 - classes.sum(dim=1, keepdim=True))
            embedding = time + torch.cat([classes, none], dim=1).to(time.dtype) @ self.class_.weight
        else:
            embedding = time + self.class_(classes)
        if self.number is not None and number is not None:
            least, most = self.number_range["min"], self.number_range["max"]
            given = torch.ones_like(log_snr) if has_number is None else has_number
            embedding = embedding + self.number(100.0 * (number - least) / (most - least), given)
        if self.guidance is not None:
            slope = 100.0 / (self.range.max - self.range.min)
            w = torch.zeros_like(log_snr) if w is None else w
            embedding = embedding + self.guidance(w.float() * slope - slope * self.range.min)
        if self.next_log_snr is not None:
            next_log_snr = log_snr if next_log_snr is None else next_log_snr
            embedding = embedding + self.next_log_snr(100.0 * torch.sigmoid(-next_log_snr.float()))
        if self.augmentation is not None:
            level = torch.zeros_like(log_snr) if level is None else level
            embedding = embedding + self.augmentation(100.0 * level.float())
        return F.silu(embedding)


class ResidualBlock(nn.Module):
    def __init__(self, config: UNetConfig, inputs: int, outputs: int, how: str | None = None):
        super().__init__()
        self.how = how
        self.norm_in = nn.GroupNorm(config.norm_groups, inputs)
        self.conv_in = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.modulation = nn.Linear(4 * config.base_channels, 2 * outputs)
        self.norm_out = nn.GroupNorm(config.norm_groups, outputs)
        self.dropout = nn.Dropout(config.dropout)
        self.conv_out = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.skip = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        hidden = self.conv_in(resample(F.silu(self.norm_in(x)), self.how))
        scale, shift = self.modulation(embedding)[:, :, None, None].chunk(2, dim=1)
        hidden = F.silu(self.norm_out(hidden) * (1 + scale) + shift)
        return self.skip(resample(x, self.how)) + self.conv_out(self.dropout(hidden))


class SelfAttention(nn.Module):
    def __init__(self, config: UNetConfig, channels: int):
        super().__init__()
        self.heads = channels // config.head_channels
        self.norm = nn.GroupNorm(config.norm_groups, channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.output = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.norm(x).flatten(2).transpose(1, 2)  # [batch, pixels, channels]

        def heads(part: Tensor) -> Tensor:  # [batch, heads, pixels, head_channels]
            return part.unflatten(2, (self.heads, -1)).transpose(1, 2)

        query, key, value = (heads(part) for part in self.qkv(tokens).chunk(3, dim=2))
        mixed = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        return x + self.output(mixed).transpose(1, 2).unflatten(2, x.shape[2:])


class Block(nn.Module):
    def __init__(self, config: UNetConfig, inputs: int, outputs: int, attends: bool):
        super().__init__()
        self.residual = ResidualBlock(config, inputs, outputs)
        self.attention = SelfAttention(config, outputs) if attends else None

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        x = self.residual(x, embedding)
        return x if self.attention is None else self.attention(x)


class DownStage(nn.Module):
    def __init__(self, blocks: list[Block], downsample: ResidualBlock | None):
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.downsample = downsample


class UpStage(nn.Module):
    def __init__(self, blocks: list[Block], upsample: ResidualBlock | None):
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.upsample = upsample


class Middle(nn.Module):
    def __init__(self, config: UNetConfig, channels: int):
        super().__init__()
        self.first = ResidualBlock(config, channels, channels)
        self.attention = SelfAttention(config, channels)
        self.second = ResidualBlock(config, channels, channels)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        return self.second(self.attention(self.first(x, embedding)), embedding)


class UNet(nn.Module):
    """forward(z [batch, channels, size, size], log_snr [batch], classes [batch], w [batch], next_log_snr [batch]) -> like z.

    Only students use w, which is 0 where it is left out: their conditional model. Only those of few steps use next_log_snr,
    the level that the step leads to. Networks of attributes take flags of them, [batch, attributes], as classes. Only those of
    a number use number and has_number, which is 1 for each image where it is left out. Only those of super-resolution use
    small, [batch, channels, low_resolution, low_resolution], and level, [batch]."""

    def __init__(self, config: UNetConfig, size: int, channels: int, classes: int):
        super().__init__()
        widths = [m * config.base_channels for m in config.channel_multipliers]
        stages = len(widths)
        self.conditioning = Conditioning(config, classes)
        self.input_skip = nn.Linear(4 * config.base_channels, channels) if config.input_skip else None
        self.unshuffle, self.shuffle = nn.PixelUnshuffle(config.patch), nn.PixelShuffle(config.patch)
        channels *= config.patch**2
        size //= config.patch
        self.enlarges = config.low_resolution is not None
        self.input = nn.Conv2d((1 + self.enlarges) * channels, widths[0], 3, padding=1)

        width, kept = widths[0], [widths[0]]  # `kept`: channels of what the way up concatenates
        self.down = nn.ModuleList()
        for stage in range(stages):
            attends = (size >> stage) in config.attention_resolutions
            blocks = []
            for _ in range(config.residual_blocks):
                blocks.append(Block(config, width, widths[stage], attends))
                width = widths[stage]
                kept.append(width)
            downsample = None
            if stage + 1 < stages:
                downsample = ResidualBlock(config, width, width, "down")
                kept.append(width)
            self.down.append(DownStage(blocks, downsample))

        self.middle = Middle(config, width)

        self.up = nn.ModuleList()
        for stage in reversed(range(stages)):
            attends = (size >> stage) in config.attention_resolutions
            blocks = []
            for _ in range(config.residual_blocks + 1):
                blocks.append(Block(config, width + kept.pop(), widths[stage], attends))
                width = widths[stage]
            upsample = ResidualBlock(config, width, width, "up") if stage > 0 else None
            self.up.append(UpStage(blocks, upsample))

        self.output_norm = nn.GroupNorm(config.norm_groups, width)
        self.output = nn.Conv2d(width, channels, 3, padding=1)

    def forward(
        self,
        z: Tensor,
        log_snr: Tensor,
        classes: Tensor,
        w: Tensor | None = None,
        next_log_snr: Tensor | None = None,
        number: Tensor | None = None,
        has_number: Tensor | None = None,
        small: Tensor | None = None,
        level: Tensor | None = None,
    ) -> Tensor:
        embedding = self.conditioning(log_snr, classes, w, next_log_snr, number, has_number, level)
        x = z
        if self.enlarges:
            large = torch.zeros_like(z) if small is None else F.interpolate(small, z.shape[2:], mode="bilinear")
            x = torch.cat([z, large], dim=1)
        x = self.input(self.unshuffle(x))
        kept = [x]
        for stage in self.down:
            for block in stage.blocks:
                x = block(x, embedding)
                kept.append(x)
            if stage.downsample is not None:
                x = stage.downsample(x, embedding)
                kept.append(x)
        x = self.middle(x, embedding)
        for stage in self.up:
            for block in stage.blocks:
                x = block(torch.cat([x, kept.pop()], dim=1), embedding)
            if stage.upsample is not None:
                x = stage.upsample(x, embedding)
        output = self.shuffle(self.output(F.silu(self.output_norm(x))))
        if self.input_skip is None:
            return output
        return output + z * self.input_skip(embedding)[:, :, None, None]


def load(folder: str | Path) -> tuple[dict, UNet]:
    """The configuration and the network that `freeguide export --format safetensors` has written into a folder. The
    network computes in 32-bit floats whatever the weights are stored in."""
    from safetensors.torch import load_file

    config = json.loads((Path(folder) / "config.json").read_text())
    image = config["image"]
    network = UNet(UNetConfig.from_json(config["network"]), image["size"], image["channels"], len(config["classes"]))
    network.load_state_dict(load_file(Path(folder) / "model.safetensors"))
    return config, network.eval()


def bundle_name(name: str) -> str:
    """The name of a parameter in a bundle: the same, but for `class_`, which Python does not allow without its `_`."""
    return name.replace("class_.", "class.")


def transposed(network: UNet, name: str) -> bool:
    """Whether a bundle keeps a parameter transposed: a linear layer's weights are [in, out] there, [out, in] here."""
    module, _, leaf = name.rpartition(".")
    return leaf == "weight" and isinstance(network.get_submodule(module), nn.Linear)


def to_bundle(network: UNet, name: str, value: Tensor) -> Tensor:
    """A parameter, or its gradient, in the layout of a bundle."""
    return value.T.contiguous() if transposed(network, name) else value


def from_bundle(network: UNet, tensors: dict[str, Tensor]) -> None:
    """Puts the tensors of a bundle into the network: all of them, and no others."""
    left = dict(tensors)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            value = left.pop(bundle_name(name))
            value = value.T if transposed(network, name) else value
            if value.shape != parameter.shape:
                raise ValueError(f"{name} is {list(value.shape)} and should be {list(parameter.shape)}")
            parameter.copy_(value)
    if left:
        raise ValueError(f"the network has no {', '.join(sorted(left))}")
