"""What pytorch-fid's Inception-v3 and efficientnet_lite_pytorch answer, for the tests of trainer/eval/src/features.

Neither network's weights are needed: every parameter gets values that its name and the place in it decide, by a formula
that the tests compute too (`formula` here, `formula_weights` there). So tests/fixtures/feature_networks.safetensors holds
only images and answers, and the names and shapes of the parameters. The answers of the CIFAR-10 ResNets, whose weights
come with the program, are those of ../shared/featnets/golden.npz, recorded with their original code; give its path.
A small classifier in ONNX, tests/fixtures/classifier.onnx, is made and asked through onnxruntime, and state_dict.pth is
saved as pytorch-fid's weights are.

    pip install torch torchvision pytorch-fid efficientnet_lite_pytorch onnx onnxruntime safetensors numpy
    python tests/python/feature_networks.py [GOLDEN.npz]
    python tests/python/feature_networks.py --check
"""

import json
import sys
from pathlib import Path
from unittest import mock

import numpy
import onnx
import onnxruntime
import torch
import torch.nn.functional as F
from efficientnet_lite_pytorch import EfficientNet
from pytorch_fid import inception
from safetensors.numpy import load_file, save_file

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
FIXTURE, ONNX = FIXTURES / "feature_networks.safetensors", FIXTURES / "classifier.onnx"


def uniform(name, count):
    """`count` numbers in [-1, 1): SplitMix64 from the FNV-1a hash of the name."""
    state = 0xCBF29CE484222325
    for byte in name.encode():
        state = ((state ^ byte) * 0x100000001B3) % 2**64
    with numpy.errstate(over="ignore"):
        z = numpy.uint64(state) + numpy.arange(1, count + 1, dtype=numpy.uint64) * numpy.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
        z = z ^ (z >> numpy.uint64(31))
    return (z >> numpy.uint64(11)).astype(numpy.float64) * 2.0**-52 - 1.0


def formula(name, shape):
    """The values of a parameter, such that activations neither vanish nor explode."""
    values = uniform(name, int(numpy.prod(shape)))
    if len(shape) > 1:
        values = values * numpy.sqrt(6.0 / numpy.prod(shape[1:]))
    elif name.endswith(".running_var"):
        values = 1.0 + 0.5 * values
    elif name.endswith(".weight"):
        values = 1.0 + 0.2 * values
    else:
        values = 0.2 * values
    return values.reshape(shape).astype(numpy.float32)


def fill(network):
    """Gives every parameter of a network its formula; returns names and shapes."""
    shapes = {}
    for name, tensor in network.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            shapes[name] = list(tensor.shape)
            tensor.copy_(torch.from_numpy(formula(name, list(tensor.shape))))
    network.eval()
    return shapes


def images(count, size):
    """Smooth pictures, bytes [count, size, size, 3]."""
    random = numpy.random.default_rng(7)
    coarse = torch.from_numpy(random.uniform(0, 255, size=(count, 3, 6, 6)))
    smooth = F.interpolate(coarse, size=size, mode="bicubic").clamp(0, 255)
    return smooth.permute(0, 2, 3, 1).round().to(torch.uint8).numpy()


def make_onnx():
    """A classifier of five classes for images of 16x16 pixels, with a Softmax at its end."""
    shapes = {"conv.weight": [4, 3, 3, 3], "conv.bias": [4], "linear.weight": [5, 4], "linear.bias": [5]}
    weights = [onnx.numpy_helper.from_array(formula(name, shape), name) for name, shape in shapes.items()]
    node = onnx.helper.make_node
    nodes = [
        node("Conv", ["image", "conv.weight", "conv.bias"], ["a"], strides=[2, 2], pads=[1, 1, 1, 1]),
        node("Relu", ["a"], ["b"]),
        node("GlobalAveragePool", ["b"], ["c"]),
        node("Flatten", ["c"], ["pooled"]),
        node("Gemm", ["pooled", "linear.weight", "linear.bias"], ["logits"], transB=1),
        node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    value = lambda name, shape: onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
    inputs, outputs = [value("image", ["batch", 3, 16, 16])], [value("probabilities", ["batch", 5])]
    graph = onnx.helper.make_graph(nodes, "classifier", inputs, outputs, weights)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(ONNX))


@torch.no_grad()
def answers(data, shapes):
    x = torch.from_numpy(data["images"]).permute(0, 3, 1, 2).float()
    out = {}

    # pytorch-fid fetches its weights and loads them; here it finds the formula.
    kept = []

    def load(network, _):
        shapes["inception"] = fill(network)
        kept.append(network)

    with mock.patch.object(inception, "load_state_dict_from_url", lambda *a, **k: None):
        with mock.patch.object(torch.nn.Module, "load_state_dict", load):
            network = inception.InceptionV3([3]).eval()
    features = network(x / 255.0)[0].squeeze(-1).squeeze(-1)
    out["inception_features"] = features.numpy()
    # As torch-fidelity's and the original Inception Score: logits without bias.
    out["inception_logits"] = (features @ kept[0].fc.weight.T).numpy()

    network = EfficientNet.from_name("efficientnet-lite0")
    shapes["efficientnet_lite0"] = fill(network)
    resized = F.interpolate(x, size=224, mode="bilinear", antialias=True)
    hidden = network.extract_features((resized - 127.0) / 128.0).mean(dim=(2, 3))
    out["efficientnet_lite0_features"] = hidden.numpy()
    out["efficientnet_lite0_logits"] = network._fc(hidden).numpy()

    # The features are what the last linear layer takes: its input becomes an output.
    model = onnx.load(str(ONNX))
    for name, width in (("pooled", 4), ("logits", 5)):
        model.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["batch", width]))
    session = onnxruntime.InferenceSession(model.SerializeToString())
    resized = F.interpolate(x, size=16, mode="bilinear", antialias=True) / 255.0
    mean, deviation = (torch.tensor(v).reshape(3, 1, 1) for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    found = session.run(["pooled", "logits"], {"image": ((resized - mean) / deviation).numpy()})
    out["onnx_features"], out["onnx_logits"] = found
    return out


def main():
    arguments = sys.argv[1:]
    if arguments == ["--check"]:
        committed = load_file(str(FIXTURE))
        for name, found in answers(committed, {}).items():
            error = numpy.abs(found - committed[name]).max() / numpy.abs(found).max()
            assert error < 1e-4, f"{name} is off by {error}"
        print("the answers are as committed")
        return
    make_onnx()
    names = {"conv.weight": [2, 3, 1, 1], "bn.running_var": [2]}
    state = {name: torch.from_numpy(formula(name, shape)) for name, shape in names.items()}
    torch.save({**state, "bn.num_batches_tracked": torch.tensor(3)}, FIXTURES / "state_dict.pth")
    data, shapes = {"images": images(2, 40)}, {}
    data.update(answers(data, shapes))
    if arguments:
        golden = numpy.load(arguments[0])
        data["cifar10_images"] = numpy.ascontiguousarray(golden["images_u8_nchw"].transpose(0, 2, 3, 1))
        for depth in ("20", "56"):
            for part in ("features", "logits"):
                data[f"resnet{depth}_{part}"] = golden[f"resnet{depth}_{part}"]
        for part in ("features", "logits"):
            data[f"efficientnet_lite0_128_{part}"] = golden[f"effnet_lite0_128bilinear_{part}"]
    save_file({k: numpy.ascontiguousarray(v) for k, v in data.items()}, str(FIXTURE), {"shapes": json.dumps(shapes)})


if __name__ == "__main__":
    main()
