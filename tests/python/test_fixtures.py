"""The committed fixtures of the parity tests are what the PyTorch that is installed computes."""

import sys
import unittest
from pathlib import Path

import torch
from safetensors.torch import load_file

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT / "pytorch"))

import make_unet_fixture  # noqa: E402


class Fixtures(unittest.TestCase):
    def test_every_case_is_computed_again(self):
        for seed, (name, case) in enumerate(make_unet_fixture.CASES.items()):
            with self.subTest(name):
                computed = make_unet_fixture.fixture(**case, seed=seed)
                committed = load_file(ROOT / "fixtures" / f"unet_{name}.safetensors")
                self.assertEqual(computed.keys(), committed.keys())
                for key, value in computed.items():
                    # The generator's random numbers may change with PyTorch: then this says so.
                    torch.testing.assert_close(value, committed[key], rtol=1e-5, atol=1e-5, msg=lambda m: f"{key}: {m}")


if __name__ == "__main__":
    unittest.main()
