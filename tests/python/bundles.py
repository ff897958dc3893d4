"""Bundles to export, and the command that does it."""

import hashlib
import json
import os
import subprocess
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save

ROOT = Path(__file__).parent.parent.parent
FIXTURES = ROOT / "tests/fixtures"
FREEGUIDE = Path(os.environ.get("FREEGUIDE", ROOT / "target/release/freeguide"))
# Every network of the parity fixtures: with attention and without, several heads and groups, one stage to three, other
# scalings of log_snr, grey images, patches.
NETWORKS = ["attention", "heads", "plain", "single", "patch"]
# Networks of other programs; they hold every option that networks have here. tests/pytorch says how they are made.
GUIDED = ["guided_adm64", "guided_default", "guided_learned", "guided_unconditional"]
DIFFUSERS = ["diffusers_class", "diffusers_ddpm", "diffusers_learned", "diffusers_resnet"]


def freeguide(*arguments: str | Path) -> subprocess.CompletedProcess:
    """Runs the command, which must succeed."""
    ran = refused(*arguments)
    if ran.returncode != 0:
        raise AssertionError(f"freeguide {' '.join(map(str, arguments))}: {ran.stderr}")
    return ran


def refused(*arguments: str | Path) -> subprocess.CompletedProcess:
    """Runs the command, which may fail."""
    return subprocess.run([FREEGUIDE, *map(str, arguments)], capture_output=True, text=True)


def fixture(name: str) -> tuple[dict, dict[str, np.ndarray]]:
    """Configuration and tensors of unet_NAME.safetensors; see tests/pytorch/make_unet_fixture.py."""
    with safe_open(FIXTURES / f"unet_{name}.safetensors", "np") as file:
        config = json.loads(file.metadata()["config"])
        return config, {key: file.get_tensor(key) for key in file.keys()}


def bundle(name: str, folder: Path, target: str = "v") -> dict[str, np.ndarray]:
    """Writes a fixture's network as a bundle; returns the fixture's tensors."""
    config, tensors = fixture(name)
    prefix = "weight."
    weights = {key.removeprefix(prefix): t for key, t in tensors.items() if key.startswith(prefix)}
    data = save(weights)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.safetensors").write_bytes(data)
    about = {
        "format_version": 2 if "patch" in config["network"] or target in ["velocity", "edm"] else 1,
        "written_by": "tests/python/bundles.py",
        "name": name,
        "image": config["image"],
        "classes": [f"class {i}" for i in range(config["classes"])],
        "network": config["network"],
        "diffusion": {"target": target, "log_snr": {"min": -12.0, "max": 11.0}},
        "sampling": {"sampler": "ddim", "steps": 4, "guidance": 1.5},
        "weights": [{"file": "model.safetensors", "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}],
        "provenance": {"dataset": "none", "license": "MIT OR Apache-2.0", "attribution": "freeguide"},
    }
    (folder / "config.json").write_text(json.dumps(about))
    return tensors


def imported(name: str, folder: Path) -> tuple[dict, dict[str, np.ndarray]]:
    """Imports a network of tests/fixtures/import into `folder`; returns its configuration, and the input and output that
    the other program computed."""
    path = FIXTURES / "import" / name
    with safe_open(path.with_name(f"{name}.expected.safetensors"), "np") as file:
        flags = (file.metadata() or {}).get("flags")
        tensors = {key: file.get_tensor(key) for key in file.keys()}
    if name in GUIDED:
        freeguide("import", "--from", "guided-diffusion", f"{path}.pt", "--flags", flags, "--out", folder)
    else:
        freeguide("import", "--from", "diffusers", path, "--out", folder)
    config = json.loads((folder / "config.json").read_text())
    null = np.full(len(tensors["x"]), len(config["classes"]))
    return config, tensors | {"class": tensors.get("class", null).astype(np.int64)}
