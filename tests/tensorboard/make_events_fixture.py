"""Writes tests/fixtures/events.tfevents with TensorBoard's own messages and record writer.

    pip install tensorboard
    python tests/tensorboard/make_events_fixture.py

trainer/train/src/events.rs must write the same bytes.
"""

import struct
from pathlib import Path

from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.summary.writer.record_writer import RecordWriter

ROOT = Path(__file__).resolve().parents[2]


def main():
    png = (ROOT / "models/emoji16/images/w0.png").read_bytes()
    width, height = struct.unpack(">II", png[16:24])
    scalars = summary_pb2.Summary(
        value=[
            summary_pb2.Summary.Value(tag="train/loss", simple_value=0.125),
            summary_pb2.Summary.Value(tag="train/größe", simple_value=-0.0),
        ]
    )
    image = summary_pb2.Summary.Image(
        height=height, width=width, colorspace=3, encoded_image_string=png[:64]
    )
    picture = summary_pb2.Summary(value=[summary_pb2.Summary.Value(tag="samples", image=image)])
    start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
    events = [
        event_pb2.Event(wall_time=1.5, step=0, file_version="brain.Event:2"),
        event_pb2.Event(wall_time=2.5, step=11, session_log=start),
        event_pb2.Event(wall_time=3.25, step=300, summary=scalars),
        event_pb2.Event(wall_time=4.0, step=5_000_000_000, summary=picture),
    ]
    with open(ROOT / "tests/fixtures/events.tfevents", "wb") as file:
        writer = RecordWriter(file)
        for event in events:
            writer.write(event.SerializeToString())
        writer.flush()


if __name__ == "__main__":
    main()
