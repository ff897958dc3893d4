"""What `freeguide export --format onnx` writes: onnx.checker accepts it and onnxruntime agrees with PyTorch."""

import json
import tempfile
import unittest
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, quantize_dynamic, quantize_static
from onnxruntime.transformers.float16 import convert_float_to_float16
from PIL import Image

from bundles import FIXTURES, NETWORKS, ROOT, bundle, freeguide
from sampling import ddim, levels, noise, pixels, sigmoid


def session(path: Path) -> onnxruntime.InferenceSession:
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


class Onnx(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)

    def export(self, name: str, *options: str, target: str = "v") -> dict[str, np.ndarray]:
        tensors = bundle(name, self.folder / "model", target)
        freeguide("export", "--model", self.folder / "model", "--format", "onnx", "--out", self.folder / "onnx", *options)
        return tensors | {"class": tensors["class"].astype(np.int64)}

    def predict(self, tensors: dict, rows: slice = slice(None)) -> np.ndarray:
        inputs = {key: tensors[key][rows] for key in ["z", "log_snr", "class"]}
        return session(self.folder / "onnx/denoiser.onnx").run(["prediction"], inputs)[0]

    def test_every_network_agrees_within_1e_4(self):
        for name in NETWORKS:
            with self.subTest(name):
                tensors = self.export(name)
                difference = np.abs(self.predict(tensors) - tensors["output"]).max()
                print(f"\n{name}: {difference:.1e} in f32", end="")
                self.assertLess(difference, 1e-4)

    def test_opset_17_is_the_same_network(self):
        for options, allowed in [((), 1e-5), (("--dtype", "f16"), 2e-2), (("--dtype", "int8"), 1e-5)]:
            tensors = self.export("attention", *options)
            newest = self.predict(tensors)
            self.export("attention", "--opset", "17", *options)
            for file in ["denoiser.onnx", "guided_step.onnx"]:
                model = onnx.load(self.folder / "onnx" / file)
                self.assertEqual([(o.domain, o.version) for o in model.opset_import], [("", 17)])
                self.assertEqual(model.ir_version, 8)
                session(self.folder / "onnx" / file)
            np.testing.assert_allclose(self.predict(tensors), newest, atol=allowed)

    def test_in_opset_17_types_are_inferred_for_every_value(self):
        self.export("attention", "--opset", "17")
        for file in ["denoiser.onnx", "guided_step.onnx"]:
            model = onnx.load(self.folder / "onnx" / file)
            del model.graph.value_info[:]
            inferred = {value.name for value in onnx.shape_inference.infer_shapes(model).graph.value_info}
            outputs = {value.name for value in model.graph.output}
            made = {name for node in model.graph.node for name in node.output}
            self.assertEqual(made - outputs - inferred, set())

    def test_any_batch(self):
        tensors = self.export("attention")
        whole = self.predict(tensors)
        for row in range(len(whole)):
            alone = self.predict(tensors, slice(row, row + 1))
            np.testing.assert_allclose(alone, whole[row : row + 1], atol=1e-5)

    def test_less_than_32_bits(self):
        for dtype, allowed in [("f16", 2e-2), ("int8", 2e-1)]:
            for name in NETWORKS:
                with self.subTest(name, dtype=dtype):
                    tensors = self.export(name, "--dtype", dtype)
                    difference = np.abs(self.predict(tensors) - tensors["output"]).max()
                    print(f"\n{name}: {difference:.1e} in {dtype}", end="")
                    self.assertLess(difference, allowed)
                    self.assertGreater(difference, 1e-6, "nothing was rounded")

    def test_a_guided_step_is_that_of_the_paper(self):
        for target in ["v", "epsilon", "velocity", "edm"]:
            for name in ["attention", "heads"]:
                with self.subTest(name, target=target):
                    self.guided_step(name, target)

    def guided_step(self, name: str, target: str):
        tensors = self.export(name, target=target)
        z, log_snr = tensors["z"].astype(np.float64), np.linspace(-4, 5, len(tensors["z"]), dtype=np.float32)
        guidance = np.linspace(-1, 3, len(z), dtype=np.float32)
        following = log_snr + 1.5
        null = np.full(len(z), tensors["weight.conditioning.class.weight"].shape[0] - 1)
        column = lambda values: values.astype(np.float64)[:, None, None, None]  # noqa: E731
        alpha, sigma = np.sqrt(sigmoid(column(log_snr))), np.sqrt(sigmoid(-column(log_snr)))
        # EDM (Karras et al. 2022, table 1) in its own terms: sigma/alpha is its noise, z/alpha its noisy image.
        noisy, total = sigma / alpha, (sigma / alpha) ** 2 + 0.25
        seen = {"velocity": z / (alpha + sigma), "edm": z / alpha / np.sqrt(total)}.get(target, z)
        own, without = (
            self.predict({"z": seen.astype(np.float32), "log_snr": log_snr, "class": classes}).astype(np.float64)
            for classes in [tensors["class"], null]
        )
        w = column(guidance)
        output = (1 + w) * own - w * without
        x = {
            "epsilon": (z - sigma * output) / alpha,
            "v": alpha * z - sigma * output,
            "velocity": seen - sigma / (alpha + sigma) * output,
            "edm": 0.25 / total * z / alpha + noisy * 0.5 / np.sqrt(total) * output,
        }[target]
        x = x.clip(-1, 1)
        epsilon = (z - alpha * x) / sigma
        expected = np.sqrt(sigmoid(column(following))) * x + np.sqrt(sigmoid(-column(following))) * epsilon
        inputs = {"z": tensors["z"], "log_snr": log_snr, "next_log_snr": following, "class": tensors["class"]}
        step = session(self.folder / "onnx/guided_step.onnx")
        next_z, denoised = step.run(["next_z", "denoised"], inputs | {"guidance": guidance})
        np.testing.assert_allclose(denoised, x, atol=1e-4)
        np.testing.assert_allclose(next_z, expected, atol=1e-4)

    def test_onnxruntime_draws_the_pictures_of_the_command(self):
        model = FIXTURES / "tiny-model"
        config = json.loads((model / "config.json").read_text())
        range_, classes = config["diffusion"]["log_snr"], len(config["classes"])
        freeguide("export", "--model", model, "--format", "onnx", "--out", self.folder)
        options = ["--count", "6", "--seed", "7", "--steps", "8", "--guidance", "1.5", "--sampler", "ddim"]
        freeguide("sample", "--model", model, "--out", f"{self.folder}/pictures/", *options)
        drawn = np.stack([Image.open(self.folder / f"pictures/{k:05}.png") for k in range(6)])
        size, channels = config["image"]["size"], config["image"]["channels"]
        z = np.stack([noise(7, image, (channels, size, size)) for image in range(6)])
        network = session(self.folder / "denoiser.onnx")

        def predict(z, log_snr, ids):
            return network.run(None, {"z": z, "log_snr": log_snr, "class": ids})[0]

        ids = [k % classes for k in range(6)]
        schedule = levels(range_["min"], range_["max"], 8)
        ours = pixels(ddim(predict, z, ids, classes, schedule, 1.5, config["diffusion"]["target"]))
        self.assertLessEqual(np.abs(ours.astype(int) - drawn).max(), 1)
        # The same by the form that has guidance inside.
        step = session(self.folder / "guided_step.onnx")
        inputs = {"class": np.array(ids), "guidance": np.full(6, 1.5, dtype=np.float32)}
        for level, following in zip(schedule, [*schedule[1:], schedule[-1]]):
            level, following = (np.full(6, value, dtype=np.float32) for value in (level, following))
            z, x = step.run(None, inputs | {"z": z, "log_snr": level, "next_log_snr": following})
        self.assertLessEqual(np.abs(pixels(x).astype(int) - drawn).max(), 1)

    def test_the_tools_of_onnxruntime_take_the_graphs(self):
        """They want a type for every value, which ONNX's inference does not find behind GroupNormalization."""
        tensors = self.export("attention")
        rows = len(tensors["z"])
        more = {name: np.ones(rows, dtype=np.float32) for name in ["next_log_snr", "guidance"]}
        for form in ["denoiser", "guided_step"]:
            path, out = self.folder / f"onnx/{form}.onnx", self.folder / "rewritten.onnx"
            names = [value.name for value in onnx.load(path).graph.input]
            inputs = {name: value for name, value in (tensors | more).items() if name in names}
            expected = session(path).run(None, inputs)[0]

            class Calibration(CalibrationDataReader):
                left = [inputs]

                def get_next(self):
                    return self.left.pop() if self.left else None

            # The layers alone: a solver's step divides by α, by which 8-bit activations would be off by hundreds.
            layers = ["Conv", "MatMul", "Gemm"]

            def halved():
                onnx.save(convert_float_to_float16(onnx.load(path), keep_io_types=True), out)

            for tool, allowed, run in [
                ("quantize_dynamic", 0.5, lambda: quantize_dynamic(path, out)),
                ("quantize_static", 1, lambda: quantize_static(path, out, Calibration(), op_types_to_quantize=layers)),
                ("convert_float_to_float16", 0.05, halved),
            ]:
                with self.subTest(form, tool=tool):
                    run()
                    rewritten = onnxruntime.InferenceSession(out, providers=["CPUExecutionProvider"])
                    difference = np.abs(rewritten.run(None, inputs)[0] - expected).max()
                    print(f"\n{form}: {difference:.1e} after {tool}", end="")
                    self.assertLess(difference, allowed)
                    self.assertGreater(difference, 0, "nothing was rewritten")

    def test_the_metadata_say_how_to_sample(self):
        freeguide("export", "--model", ROOT / "models/emoji16", "--format", "onnx", "--out", self.folder)
        config = json.loads((ROOT / "models/emoji16/config.json").read_text())
        for file in ["denoiser.onnx", "guided_step.onnx"]:
            model = onnx.load(self.folder / file)
            self.assertEqual([(o.domain, o.version) for o in model.opset_import], [("", 21)])
            about = {entry.key: entry.value for entry in model.metadata_props}
            self.assertEqual(json.loads(about["classes"]), config["classes"])
            self.assertEqual(int(about["null_class"]), len(config["classes"]))
            self.assertEqual(about["target"], config["diffusion"]["target"])
            self.assertEqual(float(about["log_snr_min"]), config["diffusion"]["log_snr"]["min"])
            self.assertIn(about["null_class"] + " the null class", model.doc_string)
            self.assertEqual(about["attribution"], config["provenance"]["attribution"])
            for value in [*model.graph.input, *model.graph.output]:
                self.assertEqual(value.type.tensor_type.shape.dim[0].dim_param, "batch")


if __name__ == "__main__":
    unittest.main()
