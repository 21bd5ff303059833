"""What the model tells, what the user states, and what is asked for."""

from __future__ import annotations

import pytest

from edge_aigc.converters.sources.source import TensorFact, Wish, closed
from edge_aigc.converters.specification import Statement, complete
from edge_aigc.errors import SourceError, SpecError

LATENT = TensorFact(name="latent", shape=(1, 8), dtype="float32")
KIND = TensorFact(name="kind", shape=(1, 3), dtype="float32")
IMAGE = TensorFact(name="image", shape=(1, 8, 8, 1), dtype="float32", activation="tanh")
PHOTO = TensorFact(name="photo", shape=(1, 8, 8, 3), dtype="float32", open_size=True)
LARGE = TensorFact(name="large", shape=(1, 16, 16, 3), dtype="float32", activation="linear")
LABEL = TensorFact(name="label", shape=(1, 10), dtype="float32", activation="softmax")


def spec_of(inputs, outputs, **stated):
    return complete(inputs, outputs, Statement(**stated), default_name="net")


def test_shapes_media_and_the_range_of_tanh_are_inferred():
    spec = spec_of([LATENT], [IMAGE], priors={"latent": "normal"})
    assert spec.name == "net"
    assert spec.inputs[0].shape == (1, 8)
    assert spec.outputs[0].media == "image"
    assert spec.outputs[0].range == (-1.0, 1.0)


def test_a_picture_in_and_out_is_inferred_but_for_its_range():
    spec = spec_of([PHOTO], [LARGE], ranges={"": (0.0, 1.0)})
    assert spec.family == "image-to-image"
    assert spec.pictures[0].range == spec.outputs[0].range == (0.0, 1.0)


def test_everything_missing_is_named_at_once_with_its_flag():
    with pytest.raises(SpecError) as caught:
        spec_of([LATENT, PHOTO], [LARGE])
    for words in ("--prior latent=normal", "--range photo=0,1", "--range large=0,1"):
        assert words in caught.value.message


def test_a_classifier_is_recognised():
    with pytest.raises(SpecError, match="softmax, as a classifier's does"):
        spec_of([PHOTO], [LABEL], ranges={"": (0.0, 1.0)})


def test_classes_make_a_choice():
    spec = spec_of([LATENT, KIND], [IMAGE], priors={"latent": "normal"}, classes={"kind": ("a", "b", "c")})
    assert spec.inputs[1].classes == ("a", "b", "c")
    assert spec.inputs[1].encoding == "onehot"


def test_classes_that_do_not_fit_are_refused_with_both_numbers():
    with pytest.raises(SpecError, match=r"\[1, 3\] but 2 classes"):
        spec_of([LATENT, KIND], [IMAGE], priors={"latent": "normal"}, classes={"kind": ("a", "b")})


@pytest.mark.parametrize(
    ("stated", "words"),
    [
        ({"priors": {"latnet": "normal"}}, "Did you mean 'latent'?"),
        ({"media": {"x": "raw"}}, "It has 'image'."),
        ({"media": {"image": "sound"}}, "`--media image=sound`: there is no media 'sound'"),
        ({"ranges": {"zzz": (0, 1)}}, "'latent', 'image'"),
        ({"priors": {"latent": "gaussian"}}, "There are 'normal', 'noise', 'uniform', 'constant', 'choice', 'image'"),
        ({"priors": {"latent": "normla"}}, "there is no prior 'normla'. Did you mean 'normal'? There are 'normal'"),
        ({"family": "gna"}, "There are 'gan'"),
        ({"file": {"inputs": [{"name": "latent", "prio": "normal"}]}}, "Did you mean 'prior'? The keys are 'prior'"),
        ({"file": {"inputs": [{"name": "latent", "prior": "normal", "sdt": 2}]}}, "Did you mean 'std'? The keys are"),
        ({"file": {"outputs": [{"name": "image", "medium": "image"}]}}, "Did you mean 'media'?"),
        ({"file": {"loop": {"temprature": 1}}}, "[loop]: there is no key 'temprature'. Did you mean 'temperature'?"),
        ({"priors": {"latent": "normal"}, "ranges": {"latent": (0, 1)}}, "leave it out"),
        ({"file": {"inputs": [{"name": "zz", "prior": "normal"}]}, "origin": "a.toml"}, "a.toml: input names 'zz'"),
        ({"file": {"inputs": [{"name": "latent", "shape": [1, 9]}]}, "origin": "a.toml"}, "the model has [1, 8]"),
        ({"file": {"inputs": "latent"}, "origin": "a.toml"}, "[[inputs]]"),
        (
            {"file": {"nme": "x"}, "origin": "a.toml", "priors": {"latent": "normal"}},
            "a.toml: there is no key 'nme'. Did you mean 'name'?",
        ),
        ({"name": "a/b", "priors": {"latent": "normal"}}, "name"),
    ],
)
def test_statements_that_do_not_fit_the_model_are_refused(stated, words):
    with pytest.raises(SpecError) as caught:
        spec_of([LATENT], [IMAGE], **stated)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("read", "scores"),
    [
        (TensorFact(name="tokens", shape=(1, 32), dtype="int32"), TensorFact(name="s", shape=(1, 40), dtype="float32")),
        (
            TensorFact(name="tokens", shape=(1, 32), dtype="float32"),
            TensorFact(name="scores", shape=(1, 32, 40), dtype="float32", activation="softmax"),
        ),
    ],
)
def test_a_model_that_reads_tokens_is_led_to_its_family(read, scores):
    with pytest.raises(SpecError, match="`--family autoregressive`"):
        spec_of([read], [scores])
    with pytest.raises(SpecError) as caught:
        spec_of([LATENT], [IMAGE])
    assert "autoregressive" not in str(caught.value)


def test_a_row_of_any_length_is_led_to_its_family():
    with pytest.raises(SourceError, match="`--family autoregressive`"):
        closed("tokens", [None, None], Wish(), place=0)


def test_a_file_wins_over_inference_and_flags_over_the_file():
    file = {
        "name": "from-file",
        "inputs": [{"name": "latent", "prior": "uniform", "low": -1.0, "high": 1.0}],
        "outputs": [{"name": "image", "range": [0.0, 1.0]}],
    }
    spec = spec_of([LATENT], [IMAGE], file=file, origin="a.toml")
    assert (spec.name, spec.inputs[0].low, spec.outputs[0].range) == ("from-file", -1.0, (0.0, 1.0))
    spec = spec_of([LATENT], [IMAGE], file=file, origin="a.toml", name="mine", ranges={"image": (-2.0, 2.0)})
    assert (spec.name, spec.outputs[0].range) == ("mine", (-2.0, 2.0))
