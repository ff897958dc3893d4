"""Networks of other programs, imported, leave again to diffusers, and answer as they did."""

import tempfile
import unittest
from pathlib import Path

import torch

from bundles import DIFFUSERS, freeguide, imported


class Imported(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)

    @torch.no_grad()
    def test_diffusers_gets_back_what_it_gave(self):
        from diffusers import DDPMScheduler, UNet2DModel

        for name in DIFFUSERS:
            with self.subTest(name):
                config, tensors = imported(name, self.folder / name)
                tensors = {key: torch.from_numpy(value) for key, value in tensors.items()}
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
