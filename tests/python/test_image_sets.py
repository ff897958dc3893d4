"""What `freeguide sample` writes as data sets in one file: the libraries datasets and webdataset read it."""

import io
import json
import subprocess
import tempfile
import unittest
from pathlib import Path

import datasets
import numpy as np
import webdataset
from PIL import Image

from bundles import FIXTURES, freeguide

CLASSES = ["disc", "square", "triangle"]
COUNT = 230


class ImageSets(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)

    def sample(self, name: str, *options: str) -> Path:
        out = self.folder / name
        freeguide(
            *["sample", "--model", FIXTURES / "tiny-model", "--steps", "2", "--seed", "5", "--guidance", "1.5"],
            *["--count", COUNT, "--out", f"{out}/" if "." not in name else out, *options],
        )
        return out

    def load(self, kind: str, file: Path) -> datasets.Dataset:
        return datasets.load_dataset(kind, data_files=str(file), split="train", cache_dir=self.folder / "cache")

    def check(self, rows: list[tuple[Image.Image, str | None, dict]]):
        """Each row has the picture that the folder has, its class and its settings."""
        folder = self.sample("files")
        self.assertEqual(len(rows), COUNT)
        for index, (picture, name, settings) in enumerate(rows):
            path = folder / f"{index:05}.png"
            np.testing.assert_array_equal(np.asarray(picture), np.asarray(Image.open(path)))
            self.assertEqual(name, CLASSES[index % 3])
            self.assertEqual(settings["class"], name)
            self.assertEqual([settings[key] for key in ["image", "seed", "guidance"]], [index, 5, 1.5])

    def test_datasets_reads_the_features_of_parquet(self):
        data = self.load("parquet", self.sample("drawn.parquet"))
        self.assertEqual(
            data.features,
            datasets.Features(
                image=datasets.Image(),
                label=datasets.ClassLabel(names=CLASSES),
                guidance=datasets.Value("float64"),
                seed=datasets.Value("int64"),
                index=datasets.Value("int64"),
                steps=datasets.Value("int64"),
                sampler=datasets.Value("string"),
                model=datasets.Value("string"),
                settings=datasets.Value("string"),
            ),
        )
        self.check([(row["image"], CLASSES[row["label"]], json.loads(row["settings"])) for row in data])
        for index, row in enumerate(data):
            values = [row[key] for key in ["guidance", "seed", "index", "steps", "sampler", "model"]]
            self.assertEqual(values, [1.5, 5, index, 2, "ddim", "tiny"])

    def test_parquet_without_a_class_has_no_label_there(self):
        data = self.load("parquet", self.sample("drawn.parquet", "--class", "none", "--class", "square"))
        self.assertEqual(data[:4]["label"], [None, 1, None, 1])
        self.assertEqual(data.features["image"], datasets.Image())

    def test_pandas_and_pyarrow_see_plain_columns(self):
        import pyarrow.parquet

        file = pyarrow.parquet.ParquetFile(self.sample("drawn.parquet"))
        self.assertEqual([file.metadata.row_group(k).num_rows for k in range(file.num_row_groups)], [100, 100, 30])
        png = file.read(columns=["image"])["image"][7]["bytes"].as_py()
        self.assertEqual(Image.open(io.BytesIO(png)).size, (8, 8))

    def test_webdataset_reads_the_tar_file(self):
        data = webdataset.WebDataset(str(self.sample("drawn.tar")), shardshuffle=False).decode("pil")
        rows = list(data.to_tuple("png", "json"))
        self.check([(picture, settings["class"], settings) for picture, settings in rows])
        self.assertEqual([settings["class_id"] for _, settings in rows[:4]], [0, 1, 2, 0])

    def test_datasets_reads_the_tar_file(self):
        data = self.load("webdataset", self.sample("drawn.tar"))
        self.assertEqual(data.features["png"], datasets.Image())
        self.check([(row["png"], row["json"]["class"], row["json"]) for row in data])

    def test_the_order_of_members_and_the_end_are_what_tar_expects(self):
        listed = subprocess.run(["tar", "tf", self.sample("drawn.tar")], capture_output=True, text=True, check=True)
        self.assertEqual(listed.stdout.split()[:3], ["00000.png", "00000.json", "00001.png"])
        self.assertEqual(listed.stderr, "")


if __name__ == "__main__":
    unittest.main()
