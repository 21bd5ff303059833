"""Any model in: its kind told, foreign and dangerous ones refused."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from pathlib import Path

import nets
import numpy as np
import pytest

from edge_aigc.converters.sources.load import load
from edge_aigc.converters.sources.pt2 import checked
from edge_aigc.converters.sources.source import Wish
from edge_aigc.errors import ConversionError, RuntimeMissingError, SourceError
from edge_aigc.interpreter import Interpreter


def _largest_error(source):
    rng = np.random.default_rng(2)
    sample = [rng.standard_normal(fact.shape).astype(fact.dtype) for fact in source.inputs]
    ((*expected,),) = source.reference([sample])
    found = Interpreter(source.flatbuffer).run(sample)
    return max(float(np.abs(a - b).max() / np.ptp(a)) for a, b in zip(expected, found, strict=True))


@pytest.fixture(scope="module")
def gan(tmp_path_factory):
    return nets.gan(tmp_path_factory.mktemp("gan"))


@pytest.fixture(scope="module")
def saved_model(gan, tmp_path_factory):
    import keras

    folder = tmp_path_factory.mktemp("saved") / "gan"
    keras.models.load_model(gan).export(folder, verbose=False)
    return folder


@pytest.fixture(scope="module")
def two_signatures(tmp_path_factory):
    import tensorflow as tf

    class Net(tf.Module):
        def __init__(self):
            super().__init__()
            self.weights = tf.Variable(np.random.default_rng(1).standard_normal((8, 12)).astype(np.float32))

        @tf.function(input_signature=[tf.TensorSpec([None, 8], tf.float32, name="latent")])
        def generate(self, latent):
            return {"image": tf.reshape(tf.tanh(latent @ self.weights), [-1, 2, 2, 3])}

        @tf.function(input_signature=[tf.TensorSpec([None, 8], tf.float32, name="latent")])
        def decompose(self, latent):
            return {"values": tf.linalg.svd(tf.reshape(latent, [-1, 2, 4]))[0]}

    folder = tmp_path_factory.mktemp("two") / "two"
    net = Net()
    tf.saved_model.save(net, str(folder), signatures={"generate": net.generate, "decompose": net.decompose})
    return folder


def test_a_saved_model_makes_what_tensorflow_makes(saved_model):
    source = load(saved_model)
    assert source.framework.endswith("saved model")
    assert sorted((fact.name, fact.shape) for fact in source.inputs) == [("kind", (1, 3)), ("latent", (1, 8))]
    assert [(fact.shape, fact.activation) for fact in source.outputs] == [((1, 8, 8, 1), "tanh")]
    assert _largest_error(source) < 1e-5


def test_of_several_signatures_one_must_be_named(two_signatures):
    with pytest.raises(SourceError, match="--signature"):
        load(two_signatures)
    with pytest.raises(SourceError, match="none called 'made'"):
        load(two_signatures, Wish(signature="made"))
    assert _largest_error(load(two_signatures, Wish(signature="generate"))) < 1e-5


def test_an_operator_that_tflite_lacks_is_named(two_signatures):
    with pytest.raises(ConversionError, match=r"TFLite lacks: tf\.Svd"):
        load(two_signatures, Wish(signature="decompose"))


def test_a_damaged_saved_model_is_refused(saved_model, tmp_path):
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(saved_model, copy)
    (copy / "variables" / "variables.index").unlink()
    with pytest.raises(SourceError, match="cannot load"):
        load(copy)
    (copy / "saved_model.pb").write_bytes((copy / "saved_model.pb").read_bytes()[:500])
    with pytest.raises(SourceError, match="damaged"):
        load(copy)


def test_a_saved_model_that_touches_files_is_refused(tmp_path):
    import tensorflow as tf

    class Spy(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([1, 8], tf.float32, name="latent")])
        def serve(self, latent):
            tf.io.write_file(str(tmp_path / "written"), "caught")
            return {"image": latent}

    spy = Spy()
    tf.saved_model.save(spy, str(tmp_path / "spy"), signatures={"serve": spy.serve})
    (tmp_path / "written").unlink(missing_ok=True)
    with pytest.raises(SourceError, match="WriteFile"):
        load(tmp_path / "spy")
    assert not (tmp_path / "written").exists()


def test_a_float_tflite_file_is_taken_as_it_is(gan, tmp_path):
    path = tmp_path / "gan.tflite"
    path.write_bytes(load(gan).flatbuffer)
    source = load(path)
    assert [fact.name for fact in source.inputs] == ["latent", "kind"]
    assert source.outputs[0].activation == "tanh"
    assert _largest_error(source) == 0


def test_a_quantized_tflite_file_is_refused_with_the_reason(gan, tmp_path):
    from edge_aigc.converters.float16 import to_float16

    path = tmp_path / "gan.tflite"
    path.write_bytes(to_float16(load(gan).flatbuffer))
    with pytest.raises(SourceError, match=r"quantized already.*FLOAT16"):
        load(path)


def test_a_damaged_tflite_file_is_refused(gan, tmp_path):
    path = tmp_path / "gan.tflite"
    content = load(gan).flatbuffer
    for damaged in (content[: len(content) // 2], b""):
        path.write_bytes(damaged)
        with pytest.raises(SourceError, match="cannot be read"):
            load(path)


def test_weights_of_a_tflite_file_that_are_no_numbers_are_named(tmp_path):
    from edge_aigc.converters.ir import read, write

    graph = read(load(nets.dcgan(tmp_path)).flatbuffer)
    kernel = next(node.input(1) for node in graph.nodes if node.kind == "TRANSPOSE_CONV")
    kernel.data = np.full_like(kernel.data, np.inf)
    path = tmp_path / "broken.tflite"
    path.write_bytes(write(graph))
    with pytest.raises(ConversionError, match="NaN or infinite") as caught:
        load(path)
    assert kernel.name in caught.value.message


def test_a_function_of_the_users_returns_a_keras_model(tmp_path, monkeypatch):
    lines = [
        "def generator():",
        "    import keras",
        "    latent = keras.Input((8,), name='latent')",
        "    x = keras.layers.Dense(12, activation='tanh')(latent)",
        "    return keras.Model(latent, keras.layers.Reshape((2, 2, 3), name='image')(x))",
        "def number():",
        "    return 7",
        "def broken():",
        "    raise KeyError('weights.bin')",
    ]
    (tmp_path / "my_models.py").write_text("\n".join(lines))
    monkeypatch.chdir(tmp_path)
    source = load("my_models:generator")
    assert source.file_name == "my_models:generator"
    assert _largest_error(source) < 1e-5
    with pytest.raises(SourceError, match=r"builtins\.int, which is no model"):
        load("my_models:number")
    with pytest.raises(SourceError, match=r"raised KeyError: 'weights.bin'"):
        load("my_models:broken")
    with pytest.raises(SourceError, match="has no function 'nothing'") as caught:
        load("my_models:nothing")
    assert "generator" in caught.value.remedy


def test_a_module_that_is_not_there_is_told_from_one_that_imports_what_is_not(tmp_path, monkeypatch):
    (tmp_path / "needing.py").write_text("import a_package_that_is_not_here")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError, match="no module 'missing_models'"):
        load("missing_models:generator")
    with pytest.raises(RuntimeMissingError, match="a_package_that_is_not_here"):
        load("needing:generator")


@pytest.mark.parametrize("name", ["model.h5", "weights.safetensors", "saved_model.pb", "notes.txt", "nothing.bin"])
def test_what_is_no_known_kind_is_refused_with_what_is(tmp_path, name):
    path = tmp_path / name
    if name != "nothing.bin":
        path.write_bytes(b"no model")
    with pytest.raises(SourceError) as caught:
        load(path)
    assert caught.value.remedy


def test_an_empty_folder_is_no_model(tmp_path):
    with pytest.raises(SourceError, match=r"no saved_model\.pb"):
        load(tmp_path)


class _Trap:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __reduce__(self):
        return Path.touch, (self._mark,)


@pytest.mark.parametrize("name", ["model.pt", "model.pth", "model.pkl", "model.bin"])
def test_a_pickle_is_never_opened(tmp_path, name):
    mark, path = tmp_path / "opened", tmp_path / name
    path.write_bytes(pickle.dumps(_Trap(mark)))
    with pytest.raises(SourceError, match="could run any code"):
        load(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/data.pkl", pickle.dumps(_Trap(mark)))
    with pytest.raises(SourceError, match="could run any code"):
        load(path)
    assert not mark.exists()


def _archive(**members: object) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name, content in members.items():
            data = content if isinstance(content, bytes) else json.dumps(content).encode()
            archive.writestr("net/" + name.replace("__", "/").replace("_JSON", ".json").replace("_PT", ".pt"), data)
    return written.getvalue()


_HARMLESS = {
    "models__model_JSON": {"nodes": [{"target": "torch.ops.aten.tanh.default"}, {"target": "_operator.mul"}]},
    "data__weights__w_config_JSON": {"config": {"w": {"path_name": "weight_0", "use_pickle": False}}},
    "archive_format": b"pt2",
}


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"models__model_JSON": {"nodes": [{"target": "torch.os.system"}]}}, r"torch\.os\.system"),
        ({"models__model_JSON": {"nodes": [{"target": "torch.ops.mine.run.default"}]}}, "not one of PyTorch's own"),
        ({"models__model_JSON": {"expr_str": "__import__('os').system('true')"}}, "no expression of sizes"),
        ({"models__model_JSON": {"expr_str": "exec('1')"}}, "no expression of sizes"),
        ({"data__weights__w_config_JSON": {"config": {"w": {"path_name": "weight_0", "use_pickle": True}}}}, "pickled"),
        ({"data__weights__w_config_JSON": {"config": {"w": {"path_name": "opaque_obj_0"}}}}, "pickled"),
        ({"data__weights__model_PT": b"\x80\x04."}, "pickled weights"),
        ({"data__aotinductor__model__code": b"\x7fELF"}, "compiled code"),
    ],
)
def test_an_archive_that_could_run_code_is_refused(more, word):
    with pytest.raises(SourceError, match=word):
        checked(_archive(**{**_HARMLESS, **more}), "net.pt2")


def test_a_harmless_archive_loses_its_pickled_examples():
    content = _archive(**_HARMLESS, data__sample_inputs__model_PT=b"\x80\x04.")
    with zipfile.ZipFile(checked(content, "net.pt2")) as archive:
        assert archive.read("net/data/sample_inputs/model.pt") == b""
        assert "net/models/model.json" in archive.namelist()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04half", _archive(archive_format=b"pt2")])
def test_a_damaged_archive_is_refused(tmp_path, content):
    path = tmp_path / "net.pt2"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=r"damaged|holds no exported program"):
        load(path)
