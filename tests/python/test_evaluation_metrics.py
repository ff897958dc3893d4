"""The committed figures of the metrics' fixture are what torch-fidelity, scipy and scikit-learn say."""

import json
import unittest

from safetensors.numpy import load_file

import evaluation_metrics


class EvaluationMetrics(unittest.TestCase):
    def test_committed_figures(self):
        fixtures = evaluation_metrics.FIXTURES
        committed = json.loads((fixtures / "evaluation_metrics.json").read_text())["figures"]
        found = evaluation_metrics.figures(load_file(str(fixtures / "evaluation_metrics.safetensors")))
        self.assertEqual(committed.keys(), found.keys())
        for key, value in found.items():
            with self.subTest(key):
                self.assertAlmostEqual(value, committed[key], delta=1e-6 * max(1.0, abs(value)))


if __name__ == "__main__":
    unittest.main()
