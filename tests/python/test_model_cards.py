"""The headers of model cards: huggingface_hub reads them as the hub does."""

import json
import tempfile
import unittest
from pathlib import Path

from huggingface_hub import ModelCard, ModelCardData
from huggingface_hub.repocard import metadata_load

from bundles import FIXTURES, ROOT, freeguide

MODELS = sorted(path.parent for path in (ROOT / "models").glob("*/config.json"))
TASK = "unconditional-image-generation"


class ModelCards(unittest.TestCase):
    def read(self, folder: Path) -> ModelCardData:
        """A card whose header says what every one has to say."""
        self.assertIsInstance(metadata_load(folder / "README.md"), dict)
        # Without ignore_metadata_errors, a broken model-index is an error.
        card = ModelCard.load(folder / "README.md").data
        self.assertEqual((card.library_name, card.pipeline_tag), ("freeguide", TASK))
        self.assertIn("freeguide", card.tags)
        for entry in getattr(card, "widget", None) or []:
            self.assertTrue((folder / entry["output"]["url"]).is_file(), entry)
            self.assertIsInstance(entry["text"], str)
        return card

    def test_the_shipped_cards_state_their_evaluation(self):
        self.assertGreater(len(MODELS), 5)
        for folder in MODELS:
            with self.subTest(folder.name):
                card = self.read(folder)
                self.assertEqual(card.license, "other")
                self.assertTrue(card.license_name)
                self.assertGreater(len(card.widget), 2)
                results = card.eval_results
                self.assertGreater(len(results), 4)
                self.assertEqual(card.model_name, folder.name)
                for result in results:
                    self.assertEqual(result.task_type, TASK)
                    self.assertTrue(result.dataset_name and result.dataset_type)
                    self.assertIsInstance(result.metric_value, float | int)
                    self.assertLessEqual({"guidance", "steps", "sampler"}, set(result.metric_args))

    def test_the_figures_are_those_of_the_report(self):
        report = json.loads((ROOT / "docs/results/emoji16/figures.json").read_text())
        network, model = report["networks"][0], 0
        card = self.read(ROOT / "models/emoji16")
        stated = {(r.metric_type, r.metric_args["guidance"]): r.metric_value for r in card.eval_results}
        for cell in (cell for cell in network["cells"] if cell["model"] == model):
            value = stated[network["distance"].lower(), cell["guidance"]]
            self.assertAlmostEqual(value, cell["metrics"]["frechet_distance"], places=4)

    def test_a_new_card_is_one(self):
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            freeguide("export", "--model", FIXTURES / "tiny-model", "--out", folder / "tiny")
            card = self.read(folder / "tiny")
            self.assertEqual(card.license, ["mit", "apache-2.0"])
            self.assertIn("# tiny", ModelCard.load(folder / "tiny/README.md").text)
            # As the library writes it again, it says the same.
            self.assertEqual(ModelCard(str(ModelCard.load(folder / "tiny/README.md"))).data.to_dict(), card.to_dict())


if __name__ == "__main__":
    unittest.main()
