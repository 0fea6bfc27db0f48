"""The record of a run's epochs: JSON, CSV and TensorBoard."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from train.fitting.fit import FitProgress
from train.fitting.runs import Run, write_csv, write_json

COLUMNS = (
    *("epoch", "loss", "learning_rate", "seconds"),
    *("valid_track_accuracy", "valid_clip_accuracy", "valid_track_loss"),
)
_JSON, _CSV, _BOARD = "metrics.json", "metrics.csv", "tensorboard"


class History:
    """Writes `metrics.json`, `metrics.csv` (a row per epoch) and `tensorboard/` of a run.

    A run that is resumed after its epoch `epoch` keeps the rows up to it.
    """

    def __init__(self, run: Run, epoch: int = 0) -> None:
        self._folder = run.folder
        self.history: list[dict[str, Any]] = [
            row for row in run.metrics.get("history", []) if row["epoch"] <= epoch
        ]
        self._board = tf.summary.create_file_writer(str(run.folder / _BOARD))

    def add(self, now: FitProgress) -> None:
        """Note a finished epoch."""
        row: dict[str, Any] = {
            "epoch": now.epoch,
            "loss": now.loss,
            "learning_rate": now.learning_rate,
            "seconds": round(now.seconds, 1),
        }
        if now.valid is not None:
            row["valid_track_accuracy"] = now.valid.track_accuracy
            row["valid_clip_accuracy"] = now.valid.clip_accuracy
            row["valid_track_loss"] = now.valid.track_loss
        self.history.append(row)
        with self._board.as_default(step=now.epoch):
            for name in COLUMNS[1:]:
                if name in row:
                    tf.summary.scalar(name.replace("valid_", "valid/"), row[name])
        self._board.flush()
        write_json(self._folder / _JSON, {"history": self.history})
        write_csv(self._folder / _CSV, COLUMNS, self.history)

    def close(self) -> None:
        """Close the files."""
        self._board.close()
