"""Networks that `cargo xtask compile-onnx` has made runtimes of draw what onnxruntime and the command draw.

The variable FREEGUIDE_COMPILED names a folder with what compile-onnx has written of tests/fixtures/mixer.onnx (mixer/) and
of the export of tests/fixtures/tiny-model (tiny/).
"""

import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from PIL import Image
from safetensors.numpy import load_file

sys.path.append(str(Path(__file__).parent.parent / "python"))

from bundles import FIXTURES, freeguide  # noqa: E402
from sampling import ddim, levels, noise, pixels  # noqa: E402

COMPILED = Path(os.environ["FREEGUIDE_COMPILED"])


def node(package: str, bundle: Path, options: str) -> bytes:
    script = Path(__file__).parent / "draw.mjs"
    ran = subprocess.run(["node", script, COMPILED / package / "package", bundle, options], capture_output=True)
    if ran.returncode != 0:
        raise AssertionError(ran.stderr.decode())
    return ran.stdout


class Compiled(unittest.TestCase):
    def drawn(self, name: str, classes: list, steps: int, guidance: float) -> np.ndarray:
        options = {"classes": classes, "seed": 7, "steps": steps, "guidance": guidance, "sampler": "ddim"}
        drawn = node(name, COMPILED / name / "model", json.dumps(options))
        return np.frombuffer(drawn, dtype=np.uint8).reshape(len(classes), 8, 8, 3).astype(int)

    def predictor(self, path: Path):
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        return lambda z, log_snr, ids: session.run(None, {"z": z, "log_snr": log_snr, "class": ids})[0]

    def test_a_mixer_draws_what_onnxruntime_draws(self):
        predict = self.predictor(FIXTURES / "mixer.onnx")
        expected = load_file(FIXTURES / "mixer_expected.safetensors")
        found = predict(expected["z"], expected["log_snr"], expected["class"].astype(np.int64))
        self.assertLess(np.abs(found - expected["prediction"]).max(), 1e-4)
        z = np.stack([noise(7, image, (3, 8, 8)) for image in range(4)])
        ours = pixels(ddim(predict, z, [0, 1, 2, 0], 3, levels(-15, 15, 12), 1.0))
        difference = np.abs(self.drawn("mixer", [0, "square", "triangle", 0], 12, 1.0) - ours).max()
        print(f"\nmixer: {difference} of 255 from onnxruntime", end="")
        self.assertLessEqual(difference, 2)

    def test_our_export_draws_the_same_natively_in_onnxruntime_and_compiled(self):
        with tempfile.TemporaryDirectory() as folder:
            options = ["--count", "3", "--seed", "7", "--steps", "8", "--guidance", "1.5", "--sampler", "ddim"]
            freeguide("sample", "--model", FIXTURES / "tiny-model", "--out", f"{folder}/", *options)
            native = np.stack([Image.open(Path(folder) / f"{k:05}.png") for k in range(3)]).astype(int)
        z = np.stack([noise(7, image, (3, 8, 8)) for image in range(3)])
        predict = self.predictor(COMPILED / "onnx/denoiser.onnx")
        runtime = pixels(ddim(predict, z, [0, 1, 2], 3, levels(-15, 15, 8), 1.5)).astype(int)
        compiled = self.drawn("tiny", [0, 1, 2], 8, 1.5)
        for name, other in [("the command", native), ("onnxruntime", runtime)]:
            difference = np.abs(compiled - other).max()
            print(f"\ntiny: {difference} of 255 from {name}", end="")
            self.assertLessEqual(difference, 2)

    def test_one_image_alone_is_the_same(self):
        both, alone = self.drawn("mixer", [2, 0], 6, 0.0), self.drawn("mixer", [2], 6, 0.0)
        self.assertLessEqual(np.abs(both[:1] - alone).max(), 1)

    def test_the_bundle_says_what_the_metadata_said(self):
        config = json.loads((COMPILED / "mixer/model/config.json").read_text())
        about = {entry.key: entry.value for entry in onnx.load(FIXTURES / "mixer.onnx").metadata_props}
        self.assertEqual(config["classes"], json.loads(about["classes"]))
        self.assertEqual(config["network"]["kind"], "compiled")
        self.assertEqual(config["provenance"]["attribution"], about["attribution"])
        self.assertTrue((COMPILED / "mixer/site/index.html").is_file())

    def test_bundle_and_runtime_belong_together(self):
        for package, bundle in [("mixer", COMPILED / "tiny/model"), ("mixer", FIXTURES / "tiny-model")]:
            error = json.loads(node(package, bundle, "--refused"))
            self.assertEqual((error["code"], error["detail"]), ("bundle", "other-network"), error)
        ran = subprocess.run(
            [os.environ["FREEGUIDE"], "inspect", COMPILED / "mixer/model"], capture_output=True, text=True
        )
        self.assertEqual(ran.returncode, 1)
        self.assertIn("compile-onnx", ran.stderr)


if __name__ == "__main__":
    unittest.main()
