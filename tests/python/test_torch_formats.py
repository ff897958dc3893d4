"""What `freeguide export` writes for PyTorch and for diffusers computes what it should there."""

import importlib.util
import json
import tempfile
import unittest
from pathlib import Path

import numpy as np
import torch

from bundles import NETWORKS, bundle, freeguide, refused


class TorchFormats(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)

    def export(self, name: str, form: str, *options: str) -> dict[str, torch.Tensor]:
        tensors = {key: torch.from_numpy(value) for key, value in bundle(name, self.folder / "model").items()}
        freeguide("export", "--model", self.folder / "model", "--format", form, "--out", self.folder / name, *options)
        return tensors

    @torch.no_grad()
    def test_the_module_beside_the_state_dict_loads_it(self):
        for name in NETWORKS:
            for options, allowed in [((), 1e-5), (("--dtype", "f16"), 1e-5)]:  # the fixtures' weights are f16
                with self.subTest(name, options=options):
                    tensors = self.export(name, "safetensors", *options)
                    spec = importlib.util.spec_from_file_location("unet", self.folder / name / "freeguide_unet.py")
                    module = importlib.util.module_from_spec(spec)
                    spec.loader.exec_module(module)
                    config, network = module.load(self.folder / name)
                    output = network(tensors["z"], tensors["log_snr"], tensors["class"].long())
                    torch.testing.assert_close(output, tensors["output"], atol=allowed, rtol=0)
                    self.assertEqual(config["name"], name)

    @torch.no_grad()
    def test_diffusers_loads_the_network_and_the_schedule(self):
        from diffusers import DDIMScheduler, DDPMScheduler, UNet2DModel

        for name in ["attention", "heads", "single"]:
            with self.subTest(name):
                tensors = self.export(name, "diffusers")
                folder = self.folder / name
                network, loading = UNet2DModel.from_pretrained(folder / "unet", output_loading_info=True)
                self.assertEqual([loading[key] for key in ["missing_keys", "unexpected_keys"]], [[], []])
                config = json.loads((folder / "freeguide-config.json").read_text())
                scaling = config["network"].get("log_snr_embedding", {"min": -20, "max": 20, "scale": 1000})
                span = scaling["max"] - scaling["min"]
                t = (scaling["max"] - tensors["log_snr"]) * (scaling["scale"] / span)
                output = network(tensors["z"], t, class_labels=tensors["class"].long()).sample
                difference = (output - tensors["output"]).abs().max().item()
                print(f"\n{name}: {difference:.1e} in diffusers", end="")
                self.assertLess(difference, 1e-4)
                scheduler = DDPMScheduler.from_pretrained(folder / "scheduler")
                steps = np.arange(len(scheduler.alphas_cumprod))
                levels = torch.tensor(scaling["max"] - span * steps / scaling["scale"])
                signal = torch.sigmoid(levels)
                torch.testing.assert_close(scheduler.alphas_cumprod.double(), signal, rtol=1e-4, atol=1e-7)
                self.assertEqual(scheduler.config.prediction_type, "v_prediction")
                # One step of their DDIM reads the prediction as v.
                ddim = DDIMScheduler.from_config(scheduler.config)
                ddim.set_timesteps(len(steps))
                t = len(steps) // 2
                z, v = tensors["z"], tensors["output"]
                denoised = ddim.step(v, t, z).pred_original_sample
                expected = (signal[t].sqrt() * z - (1 - signal[t]).sqrt() * v).clamp(-1, 1)
                torch.testing.assert_close(denoised, expected, atol=1e-3, rtol=0)

    def test_what_diffusers_cannot_be_is_refused(self):
        bundle("plain", self.folder / "model")
        ran = refused("export", "--model", self.folder / "model", "--format", "diffusers", "--out", self.folder / "out")
        self.assertEqual(ran.returncode, 1)
        self.assertIn("sinusoids have as many channels as its first stage, 16", ran.stderr)
        self.assertFalse((self.folder / "out").exists())


if __name__ == "__main__":
    unittest.main()
