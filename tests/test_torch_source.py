"""PyTorch modules brought to the float flatbuffer, and what is refused of them; needs the extra `torch`."""

from __future__ import annotations

import json

import numpy as np
import pytest

import edge_aigc
from edge_aigc.cli import run
from edge_aigc.converters.graph import operators
from edge_aigc.converters.sources.load import load
from edge_aigc.converters.sources.source import Wish
from edge_aigc.errors import ConversionError, SourceError
from edge_aigc.interpreter import Interpreter

pytestmark = pytest.mark.heavy


def _largest_error(source):
    rng = np.random.default_rng(2)
    sample = [
        rng.integers(0, 9, fact.shape).astype(fact.dtype)
        if fact.dtype.startswith("int")
        else rng.standard_normal(fact.shape).astype(fact.dtype)
        for fact in source.inputs
    ]
    ((*expected,),) = source.reference([sample])
    found = Interpreter(source.flatbuffer).run(sample)
    return max(float(np.abs(a - b).max() / np.ptp(a)) for a, b in zip(expected, found, strict=True))


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("dcgan", ((1, 1, 1, 32), (1, 16, 16, 3))),
        ("unet", ((1, 32, 32, 3), (1, 32, 32, 3))),
        ("cyclegan", ((1, 32, 32, 3), (1, 32, 32, 3))),
    ],
)
def test_a_generator_comes_out_with_its_channels_last_and_no_transposition(name, shapes):
    source = load(f"torch_nets:{name}")
    assert (source.inputs[0].shape, source.outputs[0].shape) == shapes
    assert source.outputs[0].activation == "tanh"
    assert source.framework.startswith("torch ")
    assert "TRANSPOSE" not in [entry.kind for entry in operators(source.flatbuffer)]
    assert _largest_error(source) < 1e-5


def test_a_pytorch_generator_is_converted_for_three_boards_and_makes_pictures(capfd, tmp_path):
    boards = ("rpi4", "coral-usb", "jetson-orin-nano")
    words = [word for board in boards for word in ("--profile", board)]
    code = run(["convert", "torch_nets:dcgan", *words, "--prior", "input=normal", "--json", "-o", str(tmp_path)])
    printed = json.loads(capfd.readouterr().out)
    assert code == 0, printed
    assert [entry["profile"] for entry in printed["bundles"]] == list(boards)
    for entry in printed["bundles"]:
        assert entry["fidelity"]["value"] >= 30
        sample = edge_aigc.open(entry["path"]).generate(seed=3)
        assert sample.encode().startswith(b"\x89PNG")


@pytest.mark.parametrize("saved", [False, True], ids=["module", "pt2"])
def test_random_numbers_of_a_module_become_inputs_with_a_prior(tmp_path, saved):
    import torch
    import torch_nets

    model = "torch_nets:noisy"
    if saved:
        module, examples = torch_nets.noisy()
        model = tmp_path / "noisy.pt2"
        torch.export.save(torch.export.export(module.eval(), examples), model)
    source = load(model)
    _, *drawn = source.inputs
    assert [(fact.shape, fact.prior) for fact in drawn] == [
        ((1, 32), "normal"),
        ((1, 4, 4, 1), "normal"),
        ((1, 8, 8, 1), "normal"),
        ((1, 1, 1, 3), "normal"),
        ((1, 8, 8, 1), "uniform"),
    ]
    assert _largest_error(source) < 1e-5


def test_a_recurrent_net_of_tokens_is_written_out():
    source = load("torch_nets:words")
    assert [(fact.shape, fact.dtype) for fact in source.inputs] == [((1, 1), "int32"), ((2, 1, 24), "float32")]
    assert [fact.shape for fact in source.outputs] == [(1, 1, 50), (2, 1, 24)]
    assert "WHILE" not in [entry.kind for entry in operators(source.flatbuffer)]
    assert _largest_error(source) < 1e-5


def test_a_module_alone_asks_for_its_shape_and_takes_it():
    with pytest.raises(SourceError, match=r"--input-shape|nothing says what goes into it"):
        load("torch_nets:dcgan_alone")
    source = load("torch_nets:dcgan_alone", Wish(input_shapes=((1, 32, 1, 1),)))
    assert source.inputs[0].shape == (1, 1, 1, 32)


def test_a_pt2_file_makes_what_its_module_makes(tmp_path):
    import torch
    import torch_nets

    module, (example,) = torch_nets.unet()
    path = tmp_path / "unet.pt2"
    torch.export.save(torch.export.export(module.eval(), (example,)), path)
    source = load(path)
    assert source.inputs[0].shape == (1, 32, 32, 3)
    assert _largest_error(source) < 1e-5


def test_a_pt2_file_of_any_size_asks_for_one(tmp_path):
    import torch
    import torch_nets

    module, _ = torch_nets.dcgan()
    sizes = {2: torch.export.Dim("high"), 3: torch.export.Dim("wide")}
    program = torch.export.export(module.eval(), (torch.randn(1, 32, 2, 3),), dynamic_shapes=(sizes,))
    path = tmp_path / "any.pt2"
    torch.export.save(program, path)
    with pytest.raises(SourceError, match="open shape"):
        load(path)
    source = load(path, Wish(input_size=(3, 2)))
    assert source.outputs[0].shape == (1, 24, 20, 3)
    assert _largest_error(source) < 1e-5


def test_a_module_that_decides_by_values_is_refused_with_its_line():
    with pytest.raises(SourceError, match=r"cannot export torch_nets:deciding.*in forward, .*torch_nets\.py line \d+"):
        load("torch_nets:deciding")


def test_an_operator_that_the_exporter_lacks_is_named():
    with pytest.raises(ConversionError, match="linalg_svd"):
        load("torch_nets:decomposing")


def test_an_operator_that_is_not_translated_is_named_with_the_line_of_the_module():
    with pytest.raises(ConversionError, match=r"DFT \(in forward, torch_nets\.py line \d+\)"):
        load("torch_nets:spectral")


def test_weights_that_are_no_numbers_are_named():
    with pytest.raises(ConversionError, match=r"'0\.weight'"):
        load("torch_nets:diverged")
