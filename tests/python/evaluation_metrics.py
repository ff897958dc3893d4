"""Metrics of features by other people's code, for the tests of trainer/eval/src/metrics to compare with.

Writes tests/fixtures/evaluation_metrics.safetensors, random features and logits, and beside it evaluation_metrics.json,
what torch-fidelity, pytorch-fid, scikit-learn and numpy make of them. Both are committed, so that the tests need no
Python. With --check nothing is written: the committed figures are compared with what the packages say now.

    pip install torch torch-fidelity pytorch-fid scikit-learn scipy safetensors numpy
    python tests/python/evaluation_metrics.py [--check]
"""

import json
import sys
from pathlib import Path

import numpy
import scipy.linalg
import torch
from safetensors.numpy import load_file, save_file
from sklearn.metrics import accuracy_score
from sklearn.metrics.pairwise import polynomial_kernel
from sklearn.neighbors import NearestNeighbors
from torch_fidelity import metric_fid, metric_isc, metric_kid, metric_prc

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
SPLITS = 5


def draw():
    """Features of two sets that overlap, and logits."""
    random = numpy.random.default_rng(20260101)
    mix = random.normal(size=(10, 10)) * 0.4 + numpy.eye(10)
    real = random.normal(size=(220, 10)) @ mix + 3.0
    generated = random.normal(size=(180, 10)) @ mix * 0.8 + 3.3
    # Some are copies, but for a little.
    generated[:12] = real[5:17] + random.normal(size=(12, 10)) * 0.01
    logits = random.normal(size=(180, 6)) * 2.0
    classes = random.integers(0, 6, size=180)
    logits[numpy.arange(180), classes] += 1.5
    to_float = lambda array: array.astype(numpy.float32)
    return {
        "real": to_float(real),
        "generated": to_float(generated),
        "logits": to_float(logits),
        "classes": classes.astype(numpy.int32),
    }


def nearest(rows, k):
    """Distances to the k nearest others."""
    found, _ = NearestNeighbors(n_neighbors=k + 1).fit(rows).kneighbors(rows)
    return found[:, 1:]


def figures(data):
    """Every figure, by the package that is named in its key."""
    real, generated = data["real"].astype(numpy.float64), data["generated"].astype(numpy.float64)
    out = {}

    # torch-fidelity takes features, pytorch-fid's formula is scipy's square root of a matrix.
    tensors = [torch.from_numpy(x) for x in (real, generated)]
    statistics = [metric_fid.fid_features_to_statistics(x) for x in tensors]
    fid = metric_fid.fid_statistics_to_metric(*statistics, verbose=False)
    out["frechet_distance/torch-fidelity"] = fid["frechet_inception_distance"]
    covariances = [numpy.cov(x, rowvar=False) for x in (real, generated)]
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1]).real
    offset = real.mean(0) - generated.mean(0)
    out["frechet_distance/scipy"] = float(
        offset @ offset + sum(numpy.trace(c) for c in covariances) - 2.0 * numpy.trace(root)
    )

    logits = torch.from_numpy(data["logits"])
    score = metric_isc.isc_features_to_metric(logits, splits=SPLITS, shuffle=False)
    out["inception_score/torch-fidelity"] = score["inception_score_mean"]
    out["inception_score_deviation/torch-fidelity"] = score["inception_score_std"]

    count = len(generated)
    settings = dict(kid_kernel="poly", kid_kernel_poly_degree=3, kid_kernel_poly_gamma=None, kid_kernel_poly_coef0=1.0)
    out["kernel_distance/torch-fidelity"] = float(metric_kid.kernel_mmd(real[:count], generated, **settings))
    within = lambda x: (polynomial_kernel(x, degree=3).sum() - numpy.trace(polynomial_kernel(x, degree=3))) / (
        count * (count - 1)
    )
    out["kernel_distance/scikit-learn"] = float(
        within(real[:count]) + within(generated) - 2.0 * polynomial_kernel(real[:count], generated, degree=3).mean()
    )

    for save in (False, True):
        found = metric_prc.prc_features_to_metric(
            tensors[1], tensors[0], prc_neighborhood=3, prc_batch_size=64, save_cpu_ram=save, verbose=False
        )
        out["precision/torch-fidelity"] = found["precision"]
        out["recall/torch-fidelity"] = found["recall"]

    # Density and coverage by their definitions (Naeem et al. 2020, equations 3 and 4).
    k = 5
    distances = numpy.linalg.norm(generated[:, None, :] - real[None, :, :], axis=-1)
    inside = distances <= nearest(real, k)[None, :, -1]
    out["density/scikit-learn"] = float(inside.sum() / (k * count))
    out["coverage/scikit-learn"] = float(inside.any(axis=0).mean())

    # Authenticity by its definition (Alaa et al. 2022, section 4).
    found, index = NearestNeighbors(n_neighbors=1).fit(real).kneighbors(generated)
    out["authenticity/scikit-learn"] = float((found[:, 0] > nearest(real, 1)[index[:, 0], 0]).mean())
    out["nearest_distance/scikit-learn"] = float(numpy.sort(found[:, 0])[count // 2])
    out["nearest_index_sum/scikit-learn"] = float(index.sum())

    out["accuracy/scikit-learn"] = float(accuracy_score(data["classes"], data["logits"].argmax(axis=1)))
    return {key: float(value) for key, value in sorted(out.items())}


def main():
    tensors, answers = FIXTURES / "evaluation_metrics.safetensors", FIXTURES / "evaluation_metrics.json"
    if "--check" not in sys.argv[1:]:
        data = draw()
        save_file(data, str(tensors))
        answers.write_text(json.dumps({"splits": SPLITS, "figures": figures(data)}, indent=2) + "\n")
        return
    expected, found = json.loads(answers.read_text())["figures"], figures(load_file(str(tensors)))
    assert expected.keys() == found.keys(), "other figures than are committed"
    for key, value in found.items():
        assert abs(value - expected[key]) <= 1e-6 * max(1.0, abs(value)), f"{key}: {value}, committed {expected[key]}"
    print(f"{len(found)} figures are as committed")


if __name__ == "__main__":
    main()
