"""Networks of other programs, imported, leave again: as ONNX in onnxruntime, and to diffusers, they answer as they did.

The fixtures of tests/fixtures/import hold every option that networks have here; tests/pytorch says how they are made.
"""

import json
import tempfile
import unittest
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from safetensors import safe_open

from bundles import FIXTURES, freeguide

IMPORTS = FIXTURES / "import"
GUIDED = ["guided_adm64", "guided_default", "guided_learned", "guided_unconditional"]
DIFFUSERS = ["diffusers_class", "diffusers_ddpm", "diffusers_learned", "diffusers_resnet"]


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


class Imported(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)

    def bundle(self, name: str) -> tuple[dict, dict[str, torch.Tensor]]:
        """Imports a fixture; its configuration, and the input and output that the other program computed."""
        with safe_open(IMPORTS / f"{name}.expected.safetensors", "pt") as file:
            flags = (file.metadata() or {}).get("flags")
            tensors = {key: file.get_tensor(key) for key in file.keys()}
        model = self.folder / name
        if name in GUIDED:
            freeguide("import", "--from", "guided-diffusion", IMPORTS / f"{name}.pt", "--flags", flags, "--out", model)
        else:
            freeguide("import", "--from", "diffusers", IMPORTS / name, "--out", model)
        config = json.loads((model / "config.json").read_text())
        classes = tensors.get("class")
        if classes is None:
            classes = torch.full((len(tensors["x"]),), len(config["classes"]))
        return config, tensors | {"class": classes.long()}

    def test_onnxruntime_agrees_within_1e_4(self):
        for name in GUIDED + DIFFUSERS:
            with self.subTest(name):
                config, tensors = self.bundle(name)
                out = self.folder / f"{name}-onnx"
                freeguide("export", "--model", self.folder / name, "--format", "onnx", "--out", out)
                guided = config.get("null_class", True) and len(config["classes"]) > 0
                self.assertEqual((out / "guided_step.onnx").exists(), guided)
                onnx.checker.check_model(onnx.load(out / "denoiser.onnx"), full_check=True)
                # The level of a timestep, or between two of them.
                timesteps = config["network"]["timesteps"]
                shown = tensors["timestep"].double().numpy() / timesteps.get("scale", 1.0)
                log_snr = np.interp(shown, np.arange(timesteps["count"]), levels(timesteps)).astype(np.float32)
                inputs = {"z": tensors["x"].numpy(), "log_snr": log_snr, "class": tensors["class"].numpy()}
                session = onnxruntime.InferenceSession(out / "denoiser.onnx", providers=["CPUExecutionProvider"])
                difference = np.abs(session.run(None, inputs)[0] - tensors["output"].numpy()).max()
                print(f"\n{name}: {difference:.1e}", end="")
                self.assertLess(difference, 1e-4)

    @torch.no_grad()
    def test_diffusers_gets_back_what_it_gave(self):
        from diffusers import DDPMScheduler, UNet2DModel

        for name in DIFFUSERS:
            with self.subTest(name):
                config, tensors = self.bundle(name)
                out = self.folder / f"{name}-back"
                freeguide("export", "--model", self.folder / name, "--format", "diffusers", "--out", out)
                network, loading = UNet2DModel.from_pretrained(out / "unet", output_loading_info=True)
                self.assertEqual([loading[key] for key in ["missing_keys", "unexpected_keys"]], [[], []])
                labels = tensors["class"] if config["classes"] else None
                output = network(tensors["x"], tensors["timestep"], class_labels=labels).sample
                torch.testing.assert_close(output, tensors["output"], atol=1e-4, rtol=0)
                signal = DDPMScheduler.from_pretrained(out / "scheduler").alphas_cumprod.double()
                torch.testing.assert_close(signal, torch.sigmoid(tensors["levels"]), atol=1e-6, rtol=1e-3)


if __name__ == "__main__":
    unittest.main()
