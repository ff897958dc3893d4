"""Reads the events of a run as TensorBoard does and compares them with its metrics.jsonl.

    pip install tensorboard
    python tests/tensorboard/check_run.py RUN

Exits with 0 where every scalar of every step is there, and every sample grid is its PNG.
"""

import json
import struct
import sys
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def main():
    run = Path(sys.argv[1])
    events = EventAccumulator(str(run / "tensorboard"), {"scalars": 0, "images": 0})
    events.Reload()
    metrics = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert metrics, "there are no metrics"
    keys = [key for key in metrics[0] if key != "step"]
    tags = events.Tags()
    assert sorted(tags["scalars"]) == sorted(f"train/{key}" for key in keys), tags
    for key in keys:
        found = [(event.step, event.value) for event in events.Scalars(f"train/{key}")]
        expected = [
            (metric["step"], struct.unpack("f", struct.pack("f", metric[key]))[0])
            for metric in metrics
        ]
        assert found == expected, (key, found, expected)
    grids = sorted((run / "samples").glob("step-*.png"))
    found = {event.step: event.encoded_image_string for event in events.Images("samples")}
    expected = {int(path.stem.removeprefix("step-")): path.read_bytes() for path in grids}
    assert found == expected, (sorted(found), sorted(expected))
    print(f"{len(metrics)} lines of {len(keys)} figures and {len(grids)} grids agree")


if __name__ == "__main__":
    main()
