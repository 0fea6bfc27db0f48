from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from export import graph, parity
from export.__main__ import main
from export.errors import ExportError
from serve.audio.frontend import FrontEnd
from serve.inference.card import ModelCard
from serve.inference.outputs import Outputs
from serve.inference.session import load_model
from tests.outputs import said
from tests.train import synthetic
from train.data.dataset import Float32
from train.evaluation import held_out
from train.fitting import runs


@pytest.fixture(scope="module")
def exported(workplace: Path, gtzan_folder: Path, lists: Path) -> Path:
    out = workplace / "out" / "model.onnx"
    places = ["--runs", str(workplace / "runs"), "--cache", str(workplace / "data")]
    audio = ["--audio", str(gtzan_folder), "--splits", str(lists)]
    assert main([*places, *audio, "--out", str(out)]) == 0
    return out


def test_the_file_describes_itself(exported: Path, workplace: Path) -> None:
    session = onnxruntime.InferenceSession(exported, providers=["CPUExecutionProvider"])
    card = ModelCard.from_metadata(session.get_modelmeta().custom_metadata_map)
    run = runs.newest(workplace / "runs")
    assert FrontEnd.from_dict(card.front_end) == run.front_end
    assert card.genres == synthetic.GENRES
    assert card.version == run.folder.name
    assert card.training["data_sha256"] == run.config["data"]["sha256"]
    assert {"tensorflow", "tf2onnx", "onnx", "onnxruntime"} <= card.training["versions"].keys()
    assert card.training["opset"] == 18
    assert card.scores["valid"]["tracks"] == 6
    assert {(row["split"], row["source_hz"]) for row in card.scores["audio"]} == {("valid", 22_050)}
    assert card.licence


def test_the_server_takes_the_genres_from_the_folders(exported: Path, gtzan_folder: Path) -> None:
    model = load_model(exported, "cpu", 1)
    folders = (gtzan_folder / "genres_original").iterdir()
    assert model.card.genres == tuple(sorted(folder.name for folder in folders))
    mel = parity.probe(FrontEnd.from_dict(model.card.front_end), 3)
    assert model.run(mel).probabilities.shape == (3, len(model.card.genres))


def test_the_page_tells_data_scores_and_limits(exported: Path) -> None:
    page = exported.with_suffix(".md").read_text()
    for text in (
        "validation tracks",
        "| chords |",
        "| valid | 22,050 Hz | 6 |",
        "| 428 |",
        "Limits",
    ):
        assert text in page
    assert "GTZAN" not in page, "that is not what it was trained on"
    assert str(exported.parent) not in page


def test_without_data_or_audio_it_exports_what_training_noted(
    workplace: Path, tmp_path: Path
) -> None:
    run = runs.newest(workplace / "runs")
    out = tmp_path / "model.onnx"
    nowhere = str(tmp_path / "nowhere")
    assert main([str(run.folder), "--cache", nowhere, "--out", str(out)]) == 0
    assert "Not measured on audio files" in out.with_suffix(".md").read_text()
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["model.md", "model.onnx"]


def test_without_a_run_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--runs", str(tmp_path), "--out", str(tmp_path / "model.onnx")]) == 2
    assert "no finished run" in capsys.readouterr().err


def test_normalisation_is_folded(exported: Path) -> None:
    model = onnx.load(exported)
    counts = graph.node_counts(model)
    assert "BatchNormalization" not in counts
    assert counts.get("Transpose", 0) <= 1, "of the pooled features only"
    assert graph.parameters(model) > 200_000


def rename_output(model: onnx.ModelProto) -> None:
    name = model.graph.output[0].name
    (maker,) = (node for node in model.graph.node if name in node.output)
    maker.output[0] = model.graph.output[0].name = "Identity:0"


def fix_clips(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1


def break_node(model: onnx.ModelProto) -> None:
    model.graph.node[0].op_type = "NoSuchOperation"


def card_of(path: Path) -> ModelCard:
    properties = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    return ModelCard.from_metadata(properties)


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (rename_output, "outputs are"),
        (fix_clips, "dynamic clip axis"),
        (break_node, "not valid"),
    ],
)
def test_a_graph_that_breaks_the_contract_is_refused(
    exported: Path, spoil: Callable[[onnx.ModelProto], None], text: str
) -> None:
    model = onnx.load(exported)
    graph.check(model, card_of(exported))
    spoil(model)
    with pytest.raises(ExportError, match=text):
        graph.check(model, card_of(exported))


@pytest.mark.parametrize("genres", [2, 10])
def test_another_number_of_genres_is_refused(exported: Path, genres: int) -> None:
    other = replace(card_of(exported), genres=tuple(map(str, range(genres))))
    with pytest.raises(ExportError, match="has the shape"):
        graph.check(onnx.load(exported), other)


def even(mel: Float32) -> Outputs:
    return said(np.full((len(mel), 4), 0.25))


@pytest.mark.parametrize(
    ("shift", "fails"), [(0.0, False), (9e-5, False), (2e-4, True), (np.nan, True)]
)
@pytest.mark.parametrize("name", ["probabilities", "music"])
def test_parity_has_a_tolerance(name: str, shift: float, fails: bool) -> None:
    def other(mel: Float32) -> Outputs:
        return replace(even(mel), **{name: getattr(even(mel), name) + np.float32(shift)})

    if fails:
        with pytest.raises(ExportError, match="probabilities differ"):
            parity.compare(even, other, FrontEnd())
        return
    table = parity.compare(even, other, FrontEnd())
    assert [row.clips for row in table] == [1, 7, 64, 428]
    assert all(row.same_genre == 1.0 for row in table)


def test_features_of_a_track_are_the_servers() -> None:
    front_end = FrontEnd()
    samples = synthetic.sound("noise", 1, front_end.sample_rate, seconds=4.0)
    found = held_out.features(samples, front_end)
    assert found.shape == (3, *front_end.clip_shape), "the remainder of 1.2 s counts"
    assert found[-1].any()
