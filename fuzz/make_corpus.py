"""Writes fuzz/corpus, from which fuzzing begins: small files of every kind that the readers read, most of them good.

    pip install torch safetensors numpy onnx
    python fuzz/make_corpus.py
"""

import json
import pickle
import struct
from collections import OrderedDict
from pathlib import Path

import torch
from onnx import TensorProto, helper
from safetensors.torch import save_file

CORPUS = Path(__file__).parent / "corpus"
TINY = Path(__file__).parent.parent / "tests" / "fixtures" / "tiny-model" / "config.json"


def weights(folder: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    normal = lambda *shape: torch.randn(shape, generator=generator)
    tensors = {"conv.weight": normal(2, 3, 3, 3).half(), "conv.bias": normal(2), "norm.weight": normal(4).bfloat16()}
    save_file(tensors, folder / "plain.safetensors")
    save_file(tensors, folder / "metadata.safetensors", {"format": "pt"})
    torch.save(tensors, folder / "dict.pt")
    torch.save(tensors, folder / "legacy.pt", _use_new_zipfile_serialization=False)
    model = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2), torch.nn.Linear(2, 2))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(normal(*parameter.shape))
    torch.save(model.state_dict(), folder / "module.pt")
    nested = {"epoch": 3, "state_dict": model.state_dict(), "optimizer": {"lr": 0.1, "betas": (0.9, 0.99), "none": None}}
    torch.save(nested, folder / "nested.pt")
    torch.save(nested, folder / "nested-legacy.pt", _use_new_zipfile_serialization=False)
    views = OrderedDict(view=normal(3, 4)[1:], turned=normal(2, 3).t(), scalar=torch.tensor(2.0), double=normal(2).double())
    torch.save(views, folder / "views.pt", pickle_protocol=4)


def config(folder: Path) -> None:
    tiny = json.loads(TINY.read_text())
    (folder / "tiny.json").write_text(json.dumps(tiny, indent=2))
    tiny["format_version"] = 2
    tiny["null_class"] = False
    tiny["sampling"] = {"guidance": 0}
    tiny["network"] |= {
        "timesteps": {"count": 5, "betas": {"kind": "list", "values": [0.1, 0.2, 0.3, 0.4, 1.0]}, "scale": 2.0},
        "heads": 2, "norm_epsilon": 1e-6, "modulation": "add", "downsample": "convolution-after",
        "upsample": "convolution", "middle": "residual", "middle_norm_groups": 0, "sinusoid_channels": 6,
        "embedding_channels": 20, "frequency_shift": 1, "patch": 2, "input_skip": True,
    }
    (folder / "imported.json").write_text(json.dumps(tiny))


def bundle(folder: Path) -> None:
    """The network that trainer/cli/tests/fuzz describes."""
    shapes: dict[str, list[int]] = {}

    def layer(name: str, weight: list[int], bias: int | None = None) -> None:
        shapes[f"{name}.weight"] = weight
        shapes[f"{name}.bias"] = [bias if bias is not None else weight[-1]]

    def norm(name: str, channels: int) -> None:
        layer(name, [channels], channels)

    def residual(name: str, inputs: int) -> None:
        norm(f"{name}.norm_in", inputs)
        layer(f"{name}.conv_in", [2, inputs, 3, 3], 2)
        layer(f"{name}.modulation", [8, 4])
        norm(f"{name}.norm_out", 2)
        layer(f"{name}.conv_out", [2, 2, 3, 3], 2)
        if inputs != 2:
            layer(f"{name}.skip", [2, inputs, 1, 1], 2)

    layer("conditioning.log_snr_in", [2, 8])
    layer("conditioning.log_snr_out", [8, 8])
    shapes["conditioning.class.weight"] = [2, 8]
    layer("input", [2, 1, 3, 3], 2)
    residual("down.0.blocks.0.residual", 2)
    residual("middle.first", 2)
    norm("middle.attention.norm", 2)
    layer("middle.attention.qkv", [2, 6])
    layer("middle.attention.output", [2, 2])
    residual("middle.second", 2)
    residual("up.0.blocks.0.residual", 4)
    residual("up.0.blocks.1.residual", 4)
    norm("output_norm", 2)
    layer("output", [1, 2, 3, 3], 1)
    for dtype in [torch.float32, torch.float16]:
        tensors = {name: torch.ones(shape, dtype=dtype) for name, shape in shapes.items()}
        save_file(tensors, folder / f"{str(dtype).removeprefix('torch.')}.safetensors")


def features(folder: Path) -> None:
    """ResNets of one block a stage: a CIFAR-10 network, a classifier that says what it is, and files that look so."""
    shapes: dict[str, list[int]] = {}

    def conv(conv: str, norm: str, outputs: int, inputs: int) -> None:
        shapes[f"{conv}.weight"] = [outputs, inputs, 3, 3]
        shapes.update({f"{norm}.{part}": [outputs] for part in ["weight", "bias", "running_mean", "running_var"]})

    conv("conv1", "bn1", 1, 3)
    for stage, (inputs, outputs) in enumerate([(1, 1), (1, 2), (2, 4)], 1):
        block = f"layer{stage}.0"
        conv(f"{block}.conv1", f"{block}.bn1", outputs, inputs)
        conv(f"{block}.conv2", f"{block}.bn2", outputs, outputs)
    shapes |= {"linear.weight": [2, 4], "linear.bias": [2]}
    tensors = {name: torch.ones(shape) for name, shape in shapes.items()}
    says = {
        "name": "seed", "size": 4, "classes": ["one", "two"], "held_out_accuracy": 0.5,
        "held_out_class_accuracies": [0.5, None], "held_out_images": 2, "data_fingerprint": "0",
    }
    halves = {name: tensor.half() for name, tensor in tensors.items()}
    save_file(halves, folder / "classifier.safetensors", {"freeguide_classifier": json.dumps(says)})
    save_file(tensors | {"bn1.num_batches_tracked": torch.tensor(7)}, folder / "resnet.safetensors")
    save_file({"_conv_stem.weight": torch.ones(32, 3, 3, 3).half()}, folder / "efficientnet.safetensors")
    wide = {"conv1.weight": [1 << 40, 0, 3, 3], "linear.weight": [0, 1 << 40], "layer1.0.conv1.weight": [1 << 60, 1 << 60, 0, 3]}
    entry = lambda shape, end: {"dtype": "F16", "shape": shape, "data_offsets": [0, end]}
    empty = {name: entry(shape, 0) for name, shape in wide.items()}
    (folder / "wide.safetensors").write_bytes(safetensors(json.dumps(empty)))
    size = lambda shape: 2 * torch.Size(shape).numel()
    shared = {name: entry(shape, size(shape)) for name, shape in shapes.items()}
    (folder / "shared.safetensors").write_bytes(safetensors(json.dumps(shared), bytes(max(map(size, shapes.values())))))


def onnx(folder: Path) -> None:
    """Denoisers of one operator, as files name their inputs today and as they once did."""
    batch = ["batch", 3, 8, 8]
    z = helper.make_tensor_value_info("z", TensorProto.FLOAT, batch)
    rows = [
        helper.make_tensor_value_info("log_snr", TensorProto.FLOAT, ["batch"]),
        helper.make_tensor_value_info("class", TensorProto.INT64, ["batch"]),
    ]
    scale = helper.make_tensor("scale", TensorProto.FLOAT, [1], [0.5])
    output = helper.make_tensor_value_info("prediction", TensorProto.FLOAT, batch)
    node = helper.make_node("Mul", ["z", "scale"], ["prediction"])
    for name, more in {"plain": [], "constants-as-inputs": [helper.make_tensor_value_info("scale", TensorProto.FLOAT, [1])]}.items():
        graph = helper.make_graph([node], "denoiser", [z, *rows, *more], [output], [scale])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
        helper.set_model_props(model, {"classes": '["disc", "square"]', "target": "v", "name": name})
        (folder / f"{name}.onnx").write_bytes(model.SerializeToString())
    # Messages of two bytes, which take hundreds as objects: a graph (7) of inputs (11), of constants (5) and of nodes (1).
    for name, field in {"inputs": 11, "constants": 5, "nodes": 1}.items():
        body = bytes([field << 3 | 2, 0]) * 10_000
        (folder / f"{name}.onnx").write_bytes(b"\x3a" + varint(len(body)) + body)


def classifiers(folder: Path) -> None:
    """Classifiers of images of 8x8 pixels, with the layers between the image and its mean that make many values of few."""
    node = helper.make_node
    numbers = lambda name, kind, shape, values: helper.make_tensor(name, kind, shape, values)
    integers = lambda name, *values: numbers(name, TensorProto.INT64, [len(values)], values)
    floats = lambda name, *shape: numbers(name, TensorProto.FLOAT, shape, torch.ones(shape).flatten().tolist())

    def save(name: str, nodes: list, constants: list) -> None:
        image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, 8, 8])
        logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 2])
        head = [
            node("GlobalAveragePool", ["wide"], ["mean"]),
            node("Flatten", ["mean"], ["features"]),
            node("Gemm", ["features", "weight"], ["logits"]),
        ]
        graph = helper.make_graph([*nodes, *head], "classifier", [image], [logits], [*constants, floats("weight", 3, 2)])
        opset = [helper.make_opsetid("", 17)]
        (folder / f"{name}.onnx").write_bytes(helper.make_model(graph, opset_imports=opset, ir_version=9).SerializeToString())

    save("convolution", [node("Conv", ["image", "kernel"], ["wide"], pads=[1, 1, 1, 1])], [floats("kernel", 3, 3, 3, 3)])
    sizes = [
        node("Pad", ["image", "pads"], ["padded"]),
        node("Resize", ["padded", "", "scales"], ["resized"], mode="nearest"),
        node("Slice", ["resized", "starts", "ends", "axes"], ["cut"]),
        node("Concat", ["cut", "cut"], ["twice"], axis=3),
        node("Expand", ["twice", "shape"], ["expanded"]),
        node("Tile", ["expanded", "times"], ["tiled"]),
        node("ConstantOfShape", ["shape"], ["halves"], value=numbers("", TensorProto.FLOAT, [1], [0.5])),
        node("ReduceMean", ["halves"], ["half"], keepdims=0),
        node("Add", ["tiled", "half"], ["added"]),
        node("ConvTranspose", ["added", "kernel"], ["wide"], strides=[2, 2]),
    ]
    scales = numbers("scales", TensorProto.FLOAT, [4], [1.0, 1.0, 2.0, 2.0])
    cut = [integers("starts", 0), integers("ends", 4), integers("axes", 2)]
    more = [integers("pads", 0, 0, 1, 1, 0, 0, 1, 1), integers("shape", 1, 3, 4, 40), integers("times", 1, 1, 2, 1)]
    save("sizes", sizes, [*more, scales, *cut, floats("kernel", 3, 3, 2, 2)])
    computed = [
        node("Shape", ["image"], ["whole"]),
        node("Gather", ["whole", "first"], ["batch"]),
        node("Concat", ["batch", "rest"], ["shape"], axis=0),
        node("Reshape", ["image", "shape"], ["rows"]),
        node("Transpose", ["rows"], ["columns"], perm=[0, 2, 1]),
        node("MatMul", ["columns", "rows"], ["products"]),
        node("Softmax", ["products"], ["weights"], axis=-1),
        node("MatMul", ["rows", "weights"], ["mixed"]),
        node("Unsqueeze", ["mixed", "last"], ["wide"]),
    ]
    save("attention", computed, [integers("first", 0), integers("rest", 3, 64), integers("last", 3)])
    step = [numbers("step", TensorProto.FLOAT, [], [0.1]), numbers("zero", TensorProto.UINT8, [], [128])]
    kernel = helper.make_tensor("kernel", TensorProto.UINT8, [3, 3, 1, 1], bytes(range(9)), raw=True)
    quantised = [
        node("QuantizeLinear", ["image", "step", "zero"], ["bytes"]),
        node("QLinearConv", ["bytes", "step", "zero", "kernel", "step", "zero", "step", "zero"], ["convolved"]),
        node("DequantizeLinear", ["convolved", "step", "zero"], ["wide"]),
    ]
    save("integers", quantised, [*step, kernel])


def varint(value: int) -> bytes:
    low, rest = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + varint(rest) if rest else bytes([low])


def diffusers(folder: Path) -> None:
    """The descriptions in the folders of tests/fixtures/import, and lists that do not end."""
    for path in sorted((TINY.parent.parent / "import").glob("diffusers_*/**/*config.json")):
        parts = path.relative_to(TINY.parent.parent / "import").parts
        (folder / "-".join(parts)).write_text(path.read_text())
    for key in ["trained_betas", "block_out_channels", "sample_size", "down_block_types", "unknown"]:
        (folder / f"{key}.json").write_text('{"%s":[%s]}' % (key, ",".join(["0"] * 20_000)))
    (folder / "texts.json").write_text('{"up_block_types":[%s]}' % ",".join(['"a"'] * 8_000))
    (folder / "nested.json").write_text('{"sample_size":' + "[" * 20_000)


def safetensors(header: str, data: bytes = b"") -> bytes:
    return struct.pack("<Q", len(header)) + header.encode() + data


def hostile() -> None:
    """Files that say much in few bytes."""
    zeros = ",".join("0" * 20_000)
    many = {f"t{i}": {"dtype": "F16", "shape": [1], "data_offsets": [2 * i, 2 * i + 2]} for i in range(700)}
    for folder in [CORPUS / "bundle", CORPUS / "weights"]:
        dimensions = '{"x":{"dtype":"F32","shape":[%s],"data_offsets":[0,0]}}' % zeros
        (folder / "dimensions.safetensors").write_bytes(safetensors(dimensions))
        (folder / "nested.safetensors").write_bytes(safetensors('{"x":' + "[" * 20_000))
        (folder / "many.safetensors").write_bytes(safetensors(json.dumps(many, separators=(",", ":")), bytes(1400)))
        (folder / "name.safetensors").write_bytes(safetensors('{"' + "n" * 20_000 + '":{"dtype":"F32"}}'))
    # A pickle of the old format's magic number, a version and a machine, then something in the place of tensors.
    start = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) + pickle.dumps({}, 2)
    for name, body in {
        "nothings": b"N" * 20_000 + b".",
        "memo": b"N" + b"\x94" * 20_000 + b".",
        "tuples": b")" + b"\x85" * 20_000 + b".",
        "dictionaries": b"}" * 20_000 + b".",
        "marks": b"(" * 20_000 + b".",
        "texts": b"X\x01\x00\x00\x00a0" * 4_000 + b".",
    }.items():
        (CORPUS / "weights" / f"{name}.pt").write_bytes(start + b"\x80\x02" + body)
    names = json.loads(TINY.read_text()) | {"classes": [f"c{i}" for i in range(4_000)]}
    (CORPUS / "config" / "classes.json").write_text(json.dumps(names, separators=(",", ":")))


def main() -> None:
    for make in [weights, config, bundle, features, onnx, classifiers, diffusers]:
        folder = CORPUS / make.__name__
        folder.mkdir(parents=True, exist_ok=True)
        make(folder)
    hostile()


if __name__ == "__main__":
    main()
