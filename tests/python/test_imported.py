"""Networks of other programs, imported, leave again to diffusers, and answer as they did."""

import json
import shutil
import tempfile
import unittest
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from bundles import DIFFUSERS, FIXTURES, freeguide, imported
from sampling import levels, noise, pixels, sigmoid


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

    @torch.no_grad()
    def test_diffusers_draws_the_same_pictures_on_the_same_timesteps(self):
        from diffusers import DDIMScheduler, UNet2DModel

        name, classes, steps, seed = "diffusers_class", [0, 1, 2], 5, 7
        config, _ = imported(name, self.folder / name)
        count = config["network"]["timesteps"]["count"]
        self.assertEqual(count % steps, 0, "else diffusers steps to another level than it visits next")
        source = FIXTURES / "import" / name
        network = UNet2DModel.from_pretrained(source / "unet")
        size, channels = config["image"]["size"], config["image"]["channels"]
        start = np.stack([noise(seed, image, (channels, size, size)) for image in range(len(classes))])
        for spacing in ["leading", "trailing"]:
            with self.subTest(spacing):
                scheduler = DDIMScheduler.from_pretrained(
                    source / "scheduler", timestep_spacing=spacing, clip_sample=True, set_alpha_to_one=True
                )
                scheduler.set_timesteps(steps)
                z = torch.from_numpy(start).float()
                for t in scheduler.timesteps:
                    output = network(z, t, class_labels=torch.tensor(classes)).sample
                    z = scheduler.step(output, t, z, use_clipped_model_output=True).prev_sample
                options = ["--count", "3", "--seed", seed, "--steps", steps, "--guidance", "0", "--sampler", "ddim"]
                pictures = self.folder / spacing
                named = [f"--class={k}" for k in classes]
                freeguide("sample", "--model", self.folder / name, "--out", f"{pictures}/", "--grid", spacing, *options, *named)
                drawn = np.stack([np.asarray(Image.open(pictures / f"{k:05}.png")) for k in range(3)]).astype(int)
                difference = np.abs(pixels(z.numpy()).astype(int).reshape(drawn.shape) - drawn).max()
                print(f"\n{spacing}: {difference} of 255 from diffusers", end="")
                self.assertLessEqual(difference, 1)

    @torch.no_grad()
    def test_flow_matching_and_edm_draw_the_pictures_of_their_schedulers(self):
        from diffusers import EDMEulerScheduler, FlowMatchEulerDiscreteScheduler, UNet2DModel

        classes, steps, seed = [0, 1, 2], 12, 7
        for scheduler, target in [(FlowMatchEulerDiscreteScheduler(), "velocity"), (EDMEulerScheduler(), "edm")]:
            with self.subTest(target):
                source, model = self.folder / f"{target}-source", self.folder / target
                shutil.copytree(FIXTURES / "import/diffusers_class", source)
                shutil.rmtree(source / "scheduler")
                scheduler.save_pretrained(source / "scheduler")
                freeguide("import", "--from", "diffusers", source, "--out", model)
                config = json.loads((model / "config.json").read_text())
                self.assertEqual(config["diffusion"]["target"], target)
                range_ = config["diffusion"]["log_snr"]
                log_snr = levels(range_["min"], range_["max"], steps)
                alpha, sigma = np.sqrt(sigmoid(log_snr)), np.sqrt(sigmoid(-log_snr))
                size, channels = config["image"]["size"], config["image"]["channels"]
                start = torch.from_numpy(np.stack([noise(seed, k, (channels, size, size)) for k in range(3)]))
                if target == "velocity":
                    shares = sigma / (alpha + sigma)
                    scheduler.set_timesteps(sigmas=shares.tolist())
                    np.testing.assert_allclose(scheduler.sigmas[:-1], shares, rtol=1e-6)
                    x = start / (alpha[0] + sigma[0])
                else:
                    # The scheduler takes places on Karras's ramp.
                    most, least = 80.0 ** (1 / 7), 0.002 ** (1 / 7)
                    ramp = ((sigma / alpha) ** (1 / 7) - most) / (least - most)
                    scheduler.set_timesteps(sigmas=torch.from_numpy(ramp))
                    np.testing.assert_allclose(scheduler.sigmas[:-1], sigma / alpha, rtol=1e-5)
                    x = start / alpha[0]
                network = UNet2DModel.from_pretrained(source / "unet")
                x = x.float()
                for t in scheduler.timesteps:
                    shown = x if target == "velocity" else scheduler.scale_model_input(x, t)
                    output = network(shown, t, class_labels=torch.tensor(classes)).sample
                    x = scheduler.step(output, t, x).prev_sample
                options = ["--count", "3", "--seed", seed, "--steps", steps, "--guidance", "0", "--sampler", "ddim"]
                named = [f"--class={k}" for k in classes]
                freeguide("sample", "--model", model, "--out", f"{model}-pictures/", *options, *named)
                drawn = [np.asarray(Image.open(f"{model}-pictures/{k:05}.png")) for k in range(3)]
                drawn = np.stack(drawn).astype(int)
                expected = pixels(x.numpy()).astype(int).reshape(drawn.shape)
                self.assertGreater(expected.std(), 10, "the pictures are blank")
                difference = np.abs(expected - drawn).max()
                print(f"\n{target}: {difference} of 255 from {type(scheduler).__name__}", end="")
                self.assertLessEqual(difference, 1)
                out = self.folder / f"{target}-back"
                freeguide("export", "--model", model, "--format", "diffusers", "--out", out)
                back = type(scheduler).from_pretrained(out / "scheduler")
                np.testing.assert_allclose(back.sigmas, type(scheduler)().sigmas, rtol=1e-5)


if __name__ == "__main__":
    unittest.main()
