"""The report: whole in one file, true to what was measured, deaf to what strangers put into names."""

from __future__ import annotations

import base64
import functools
import io
import json
import re
import wave
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import numpy as np
import pytest
from browser import chromium
from PIL import Image
from reports import HOSTILE, OUTPUTS, draft, evidence_of
from small_nets import net

from edge_aigc.bundle import read_manifest
from edge_aigc.cli import run
from edge_aigc.converters.quantize import quantize
from edge_aigc.converters.report import Telling, render
from edge_aigc.converters.report.costs import costs_by_operator
from edge_aigc.converters.report.errors import errors_by_operator, made_in, paired
from edge_aigc.converters.report.samples import shown
from edge_aigc.devices.timing import TimedHere
from edge_aigc.errors import BundleError

MEASURE = functools.partial(TimedHere().measure, threads=1)


def telling(measure=MEASURE, command=("edge-aigc", "convert", "my model.keras")):
    return Telling(measure_for={"rpi4": measure}, command=command, tell=str)


def quantized(made, recipe):
    return quantize(made.flatbuffer, recipe, calibration=[list(s) for s in made.samples], int8_borders=False)


class Reader(HTMLParser):
    """What a page holds: tags with their attributes, and all text that people read."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.words, self.open = [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "link", "img", "circle", "line", "path", "polyline"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag in self.open:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    return render([draft(tmp_path_factory.mktemp("report"))], telling())


def test_the_page_is_whole_in_itself_and_runs_nothing(page):
    read = Reader(page)
    assert not read.open
    assert {tag for tag, _ in read.tags} & {"script", "iframe", "object", "embed", "form", "base"} == set()
    for tag, attributes in read.tags:
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            if name in {"src", "href"}:
                assert value.startswith(("data:", "#")), (tag, value)
    assert "url(" not in page
    assert "@import" not in page


def test_hostile_names_are_shown_and_never_obeyed(page):
    read = Reader(page)
    assert HOSTILE in read.text
    assert "{{7*7}}" in read.text
    assert {tag for tag, attributes in read.tags if "onerror" in attributes} == set()
    assert "<script" not in page
    titles = [attributes.get("title", "") for _, attributes in read.tags]
    assert any(HOSTILE in title for title in titles)


def test_every_section_is_there_with_its_figures(page):
    text = Reader(page).text
    for words in (
        "Samples", "Candidates", "What was rewritten, and why", "Cost by operator, before and after",
        "Error by operator", "How to reproduce", "edge-aigc convert 'my model.keras'", "worst",
        "4.00 \N{MULTIPLICATION SIGN}",
    ):  # fmt: skip
        assert words in text, words


def test_the_worst_seed_comes_first_and_pictures_are_pngs_of_what_was_made():
    evidence = evidence_of(OUTPUTS["image"])
    first, *rest = shown(evidence)
    assert first.worst
    assert first.sample == evidence.fidelity.worst_sample
    assert first.value == pytest.approx(evidence.fidelity.worst_value, abs=1e-3)
    assert not any(sample.worst for sample in rest)
    source, bundle, difference = first.views
    assert difference.title.startswith("difference")
    read = np.asarray(Image.open(io.BytesIO(base64.b64decode(source.picture.partition(",")[2]))))
    expected = np.rint((evidence.worst.reference[0, ..., 0] + 1) / 2 * 255)
    assert np.array_equal(read, expected)
    assert bundle.picture != source.picture
    assert (source.width, source.height) == (128, 128)


def test_sounds_can_be_heard_and_seen():
    source, _, difference = shown(evidence_of(OUTPUTS["audio"]))[0].views
    for view in (source, difference):
        with wave.open(io.BytesIO(base64.b64decode(view.sound.partition(",")[2])), "rb") as file:
            assert (file.getframerate(), file.getnframes()) == (16_000, 8000)
        assert re.fullmatch(r"M[\d.,L \-]+ Z", view.path)


def test_text_marks_the_tokens_that_fall_out_differently():
    evidence = evidence_of(OUTPUTS["text"])
    words = shown(evidence)[0].views[0].words
    other = sum(marked for _, marked in words)
    assert other == round((100 - evidence.worst.value) / 100 * len(words))


def test_a_single_step_shows_the_likeliest_tokens_by_name():
    step = msgspec.structs.replace(OUTPUTS["text"], shape=(1, 1, 4))
    source, bundle = shown(evidence_of(step), "abcd")[0].views
    assert sorted(word.split()[0] for word, _ in source.words) == list("abcd")
    assert sum(float(word.split()[1].rstrip("%")) for word, _ in bundle.words) == pytest.approx(100, abs=0.3)


@pytest.mark.parametrize("kind", sorted(OUTPUTS))
def test_every_medium_is_shown(tmp_path, kind):
    read = Reader(render([draft(tmp_path, OUTPUTS[kind])], telling()))
    assert OUTPUTS[kind].name in read.text
    assert not read.open


def test_what_cannot_be_measured_is_said_and_loses_nothing_else(tmp_path):
    def refuse(flatbuffers):
        raise BundleError(f"It refuses {len(flatbuffers)} of them.", remedy="Try <b>another</b>.")

    text = Reader(render([draft(tmp_path)], telling(refuse))).text
    assert "Not measured: It refuses" in text
    assert "<b>another</b>" in text
    assert "Error by operator" in text


def test_errors_grow_with_coarser_types_and_the_deepest_tensor_is_the_output():
    made = net("dcgan")
    int8 = quantized(made, "int8")
    float16 = quantized(made, "float16")
    coarse, fine = (errors_by_operator(made.flatbuffer, form, made.samples[:4]) for form in (int8, float16))
    assert len(coarse) == len(made_in(made.flatbuffer)) == len(fine)
    assert all(a.name == b.name for a, b in zip(coarse, fine, strict=True))
    assert sum(row.decibels for row in fine) > sum(row.decibels for row in coarse)
    assert all(15 < row.decibels <= 100 for row in coarse)
    # The last operator of the int8 form stands for the float one's: its output becomes float by DEQUANTIZE.
    assert {row.kind for row in coarse} >= {"TRANSPOSE_CONV"}


def test_a_form_has_no_error_against_itself():
    made = net("mobile")
    assert {row.decibels for row in errors_by_operator(made.flatbuffer, made.flatbuffer, made.samples[:1])} == {100.0}


def test_tensors_pair_by_name_and_else_by_their_place():
    made = made_in(net("dcgan").flatbuffer)
    renamed = [type(one)(kind=one.kind, name=f"x{i}", index=one.index, shape=one.shape) for i, one in enumerate(made)]
    assert [(a.name, b.name) for a, b in paired(made, renamed)] == [(m.name, r.name) for m, r in zip(made, renamed)]  # noqa: B905
    assert paired(made, renamed[1:]) == []


def test_costs_of_both_forms_share_rows_and_lose_no_operator():
    made = net("dcgan")
    int8 = quantized(made, "int8")
    stages = costs_by_operator(made.flatbuffer, int8, MEASURE)
    assert (stages.unit, stages.how) == ("ms", "measured")
    before = [kind for row in stages.rows for kinds in row.before for kind in kinds.split("+")]
    after = [kind for row in stages.rows for kinds in row.after for kind in kinds.split("+")]
    assert sorted(before) == sorted(one.kind for one in made_in(made.flatbuffer))
    assert sorted(after) == sorted(one.kind for one in made_in(int8))
    assert any(row.before and row.after for row in stages.rows)


def test_convert_writes_it_beside_the_bundle(capfd, tmp_path):
    """Whole: a Keras model in, the page tells of the bundle that was written and of how to make it again."""
    import nets

    model = nets.gan(tmp_path)
    flags = ["--prior", "latent=normal", "--classes", "kind=a,b,c", "--meter", "here"]
    file = tmp_path / "report.html"
    code = run(
        ["convert", str(model), "--profile", "rpi4", *flags, "--json", "-o", str(tmp_path), "--report", str(file)]
    )
    assert code == 0
    (entry,) = json.loads(capfd.readouterr().out)["bundles"]
    text = Reader(file.read_text()).text
    manifest = read_manifest(Path(entry["path"]))
    assert manifest.files["model.tflite"].sha256 in text
    assert manifest.provenance.source_sha256 in text
    assert f"{manifest.fidelity.value:.1f} dB" in text
    for candidate in manifest.candidates:
        assert candidate.verdict in text
    assert "Not measured" not in text
    assert "None to compare" not in text


@pytest.mark.heavy
@pytest.mark.parametrize("kind", sorted(OUTPUTS))
def test_chromium_shows_it_without_a_complaint(tmp_path, kind):
    file = tmp_path / "report.html"
    file.write_text(render([draft(tmp_path, OUTPUTS[kind])] * 2, telling()))
    with chromium(tmp_path / "profile") as tab:
        for width in (400, 1400):
            for dark in (False, True):
                tab.open(file, width=width, dark=dark)
                assert tab.complaints == []
                assert set(tab.requests) == {file.as_uri()}
                assert tab.ask("document.documentElement.scrollWidth") <= width
                edge = "Math.max(...[...document.querySelectorAll('.card, .tile, pre')].map(one => "
                assert tab.ask(edge + "one.getBoundingClientRect().right))") <= width - 10
                # No table is cut, and none needs a bar to be pulled.
                whole = "[...document.querySelectorAll('.scroll')].every(one => one.scrollWidth <= one.clientWidth)"
                assert tab.ask(whole)
                cells = "Math.max(...[...document.querySelectorAll('td')].map(one => "
                assert tab.ask(cells + "one.getBoundingClientRect().right))") <= width - 10
                assert tab.ask("getComputedStyle(document.body).fontFamily").endswith("sans-serif")
                assert tab.ask("[...document.images].every(one => one.complete && one.naturalWidth > 0)")
                assert tab.ask("document.scripts.length") == 0
                assert tab.ask("typeof owned") == "undefined"
        pictures = tab.ask("document.images.length")
        assert (pictures > 0) == (OUTPUTS[kind].media == "image")
        sound = "new Promise(r => { const a = document.querySelector('audio'); a.preload = 'metadata'; a.load(); \
            a.onloadedmetadata = () => r(a.duration); a.onerror = () => r(-1); })"
        if kind == "audio":
            result = tab.order("Runtime.evaluate", expression=sound, awaitPromise=True, returnByValue=True)
            assert result["result"]["value"] == pytest.approx(0.5)
        printed = base64.b64decode(tab.order("Page.printToPDF", printBackground=True)["data"])
        assert printed.startswith(b"%PDF")
