#!/bin/sh
# onnx 1.23.2 infers no type behind GroupNormalization, and so onnxruntime 1.32.0 cannot quantise an attention after it.
#
# GroupNormalization (opset 21) is a function of other operators. onnx.shape_inference does not look into it: every value
# behind it is without type and shape, although its output has those of its input. onnx.checker accepts the model, and
# onnxruntime runs it. quantize_dynamic asks for the type of a product that is multiplied again, as in attention, and
# stops. With InstanceNormalization, which is an operator of its own, both work. A file that states its types
# (value_info) also works.
#
# Seen with onnx 1.23.2, onnxruntime 1.32.0:
#     InstanceNormalization: 3 types inferred, quantised
#     GroupNormalization: 0 types inferred, Unable to find data type for weight_name='q'.
#     GroupNormalization with value_info: quantised
# Exits with 1 if that has changed.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6

cat > norm.py <<'PY'
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import quantize_dynamic


def value(name, shape):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def write(norm, stated=(), **attributes):
    """x [8, 4], normalised, then (n w)(n w)ᵀ."""
    constants = {"s": np.ones(8), "b": np.zeros(8), "w": np.eye(4)}
    constants = [numpy_helper.from_array(v.astype(np.float32), name) for name, v in constants.items()]
    nodes = [
        helper.make_node(norm, ["x", "s", "b"], ["n"], **attributes),
        helper.make_node("MatMul", ["n", "w"], ["q"]),
        helper.make_node("Transpose", ["q"], ["k"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["q", "k"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes, "g", [value("x", ["batch", 8, 4])], [value("y", ["batch", 8, 8])], constants, value_info=stated
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.checker.check_model(model)
    onnx.save(model, "model.onnx")
    onnxruntime.InferenceSession("model.onnx").run(None, {"x": np.ones((2, 8, 4), np.float32)})
    return len(onnx.shape_inference.infer_shapes(model).graph.value_info)


def quantise():
    try:
        quantize_dynamic("model.onnx", "quantised.onnx")
        return "quantised"
    except RuntimeError as error:
        return str(error).split(" shape_inference")[0]


seen = []
for norm, attributes in [("InstanceNormalization", {}), ("GroupNormalization", {"num_groups": 2})]:
    count = write(norm, **attributes)
    seen.append((count, quantise()))
    print(f"{norm}: {count} types inferred, {seen[-1][1]}")
write("GroupNormalization", [value("n", None), value("q", None), value("k", None)], num_groups=2)
seen.append(quantise())
print(f"GroupNormalization with value_info: {seen[-1]}")
failed = "Unable to find data type for weight_name='q'."
sys.exit(seen != [(3, "quantised"), (0, failed), "quantised"])
PY
venv/bin/python norm.py 2>/dev/null
