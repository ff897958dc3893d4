"""The ONNX files of `freeguide export` in programs of others: OpenVINO, onnxslim, and ONNX's own reference evaluator."""

import tempfile
import unittest
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx.reference import ReferenceEvaluator

from bundles import NETWORKS, bundle, freeguide

# `cargo xtask test --python` installs these two; `--onnx`, which is quick to install, does without.
try:
    import onnxslim
    import openvino
except ImportError:
    onnxslim = openvino = None


class OtherPrograms(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)

    def agrees(self, program: str, run):
        """`run` makes a prediction of a file and its inputs; it must be PyTorch's."""
        for name in NETWORKS:
            with self.subTest(name):
                tensors = bundle(name, self.folder / "model", "v")
                freeguide("export", "--model", self.folder / "model", "--format", "onnx", "--out", self.folder / "onnx")
                inputs = {"z": tensors["z"], "log_snr": tensors["log_snr"], "class": tensors["class"].astype(np.int64)}
                difference = np.abs(run(self.folder / "onnx/denoiser.onnx", inputs) - tensors["output"]).max()
                print(f"\n{name}: {difference:.1e} in {program}", end="")
                self.assertLess(difference, 1e-4)

    def test_the_reference_evaluator(self):
        self.agrees("ONNX's reference evaluator", lambda file, inputs: ReferenceEvaluator(str(file)).run(None, inputs)[0])

    @unittest.skipIf(openvino is None, "needs openvino: cargo xtask test --python")
    def test_openvino(self):
        def run(file: Path, inputs: dict) -> np.ndarray:
            core = openvino.Core()
            # Its default on processors with units for bfloat16 is to round to that.
            compiled = core.compile_model(core.read_model(file), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
            return compiled(inputs)[0]

        self.agrees("OpenVINO", run)

    @unittest.skipIf(onnxslim is None, "needs onnxslim: cargo xtask test --python")
    def test_onnxslim(self):
        def run(file: Path, inputs: dict) -> np.ndarray:
            slim = onnxslim.slim(onnx.load(file))
            onnx.checker.check_model(slim, full_check=True)
            session = onnxruntime.InferenceSession(slim.SerializeToString(), providers=["CPUExecutionProvider"])
            return session.run(["prediction"], inputs)[0]

        self.agrees("a file that onnxslim simplified", run)


if __name__ == "__main__":
    unittest.main()
