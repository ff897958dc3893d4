#!/usr/bin/env bash
# openvino 2026.4.1 (PyPI) on CPU, onnx 1.23.2, numpy 2.4.6.
#
# A model whose inputs, weights and outputs are all 32-bit floats is compiled for the CPU without any option. On a processor with
# instructions for bfloat16, OpenVINO then computes in bfloat16: three significant digits, without a word, and the outputs are still
# of type float32. The property INFERENCE_PRECISION_HINT says so when it is asked, and f32 has to be asked for.
#
# Seen on an AMD EPYC with avx512_bf16, for a chain of four products of 256x256:
#   default: <Type: 'bfloat16'>, relative error 3.4e-03; f32: relative error 6.6e-07
# Exits with 0 if that is still so, or if the processor has no bfloat16, and with 1 if it has changed.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet openvino==2026.4.1 onnx==1.23.2 numpy==2.4.6
"$place/venv/bin/python" - <<'PYTHON'
import sys

import numpy as np
import onnx
import openvino
from onnx import TensorProto, helper, numpy_helper

random = np.random.default_rng(0)
weights = [(random.standard_normal((256, 256)) / 16).astype(np.float32) for _ in range(4)]
nodes = [helper.make_node("MatMul", [f"x{at}", f"w{at}"], [f"x{at + 1}"]) for at in range(4)]
graph = helper.make_graph(
    nodes,
    "products",
    [helper.make_tensor_value_info("x0", TensorProto.FLOAT, [64, 256])],
    [helper.make_tensor_value_info("x4", TensorProto.FLOAT, [64, 256])],
    [numpy_helper.from_array(w, f"w{at}") for at, w in enumerate(weights)],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
onnx.checker.check_model(model)

core = openvino.Core()
if "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
    print("this processor has no bfloat16")
    sys.exit(0)
read = core.read_model(model.SerializeToString())
x = random.standard_normal((64, 256)).astype(np.float32)
exact = x.astype(np.float64)
for w in weights:
    exact = exact @ w.astype(np.float64)


def error(options: dict) -> tuple:
    compiled = core.compile_model(read, "CPU", options)
    output = compiled({"x0": x})[0]
    assert output.dtype == np.float32
    off = np.abs(output - exact).max() / np.abs(exact).max()
    return compiled.get_property("INFERENCE_PRECISION_HINT"), off


(hint, default), (_, asked) = error({}), error({"INFERENCE_PRECISION_HINT": "f32"})
print(f"default: {hint}, relative error {default:.1e}; f32: relative error {asked:.1e}")
sys.exit(0 if default > 1e-3 and asked < 1e-5 else 1)
PYTHON
