"""Networks of other programs, imported, leave again as ONNX: in onnxruntime they answer as they did."""

import tempfile
import unittest
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from bundles import DIFFUSERS, GUIDED, freeguide, imported


def levels(timesteps: dict) -> np.ndarray:
    """log_snr of every timestep, from the variances in a bundle's configuration."""
    count, betas = timesteps["count"], timesteps["betas"]
    if betas["kind"] == "linear":
        values = np.linspace(betas["start"], betas["end"], count)
    elif betas["kind"] == "scaled-linear":
        values = np.linspace(betas["start"] ** 0.5, betas["end"] ** 0.5, count) ** 2
    elif betas["kind"] == "squared-cosine":
        signal = np.cos((np.arange(count + 1) / count + 0.008) / 1.008 * np.pi / 2) ** 2
        values = np.minimum(1 - signal[1:] / signal[:-1], 0.999)
    else:
        values = np.array(betas["values"])
    log_signal = np.cumsum(np.log1p(-values))
    return log_signal - np.log(-np.expm1(log_signal))


class OnnxImported(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)

    def test_onnxruntime_agrees_within_1e_4(self):
        for name in GUIDED + DIFFUSERS:
            with self.subTest(name):
                config, tensors = imported(name, self.folder / name)
                out = self.folder / f"{name}-onnx"
                freeguide("export", "--model", self.folder / name, "--format", "onnx", "--out", out)
                guided = config.get("null_class", True) and len(config["classes"]) > 0
                self.assertEqual((out / "guided_step.onnx").exists(), guided)
                onnx.checker.check_model(onnx.load(out / "denoiser.onnx"), full_check=True)
                # The level of a timestep, or between two of them.
                timesteps = config["network"]["timesteps"]
                shown = tensors["timestep"].astype(np.float64) / timesteps.get("scale", 1.0)
                log_snr = np.interp(shown, np.arange(timesteps["count"]), levels(timesteps)).astype(np.float32)
                inputs = {"z": tensors["x"], "log_snr": log_snr, "class": tensors["class"]}
                session = onnxruntime.InferenceSession(out / "denoiser.onnx", providers=["CPUExecutionProvider"])
                difference = np.abs(session.run(None, inputs)[0] - tensors["output"]).max()
                print(f"\n{name}: {difference:.1e}", end="")
                self.assertLess(difference, 1e-4)


if __name__ == "__main__":
    unittest.main()
