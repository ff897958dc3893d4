"""Writes tests/fixtures/dynamic_threshold.json: images, and what the dynamic thresholding of diffusers makes of them.

    pip install torch diffusers
    python tests/pytorch/make_dynamic_threshold_fixture.py

An image has 65 values, and the quantiles are multiples of 1/64: there the definitions of a quantile do not differ.
"""

import json
from pathlib import Path

import torch
from diffusers import DDIMScheduler

torch.manual_seed(5)
scales = torch.tensor([0.2, 1.0, 40.0])[:, None, None, None]
x = torch.randn(3, 1, 5, 13) * scales
cases = []
for parts in (16, 58, 63, 64):
    scheduler = DDIMScheduler(thresholding=True, dynamic_thresholding_ratio=parts / 64, sample_max_value=1e9)
    cases.append({"quantile": parts / 64, "x": scheduler._threshold_sample(x).flatten().tolist()})
out = {"shape": list(x.shape), "x": x.flatten().tolist(), "cases": cases}
path = Path(__file__).parent.parent / "fixtures/dynamic_threshold.json"
path.write_text(json.dumps(out) + "\n")
