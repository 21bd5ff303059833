"""The compatibility table against real loads: what it says of a form on a release is what happens there.

Every case runs in a process of its own, in the environment of that release. "Runs" means that it loads, is
invoked, and makes what it makes here within the recipe's tolerance: wrong in silence counts as refused.
"""

from __future__ import annotations

import functools
import json
import os
import pickle
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import click
import flatbuffers
import nets
import numpy as np
import pytest
import small_nets
from ai_edge_litert import schema_py_generated as schema
from environments import ROOT, clean, environment
from litert_quantizer import quantizer, recipe
from load_case import distance

from edge_aigc.converters import compat
from edge_aigc.converters.bundling import TOLERANCES
from edge_aigc.converters.graph import parse, serialize
from edge_aigc.converters.models import DIGITS
from edge_aigc.converters.quantize import Aim, quantize
from edge_aigc.converters.sources.keras import load_keras
from edge_aigc.converters.sources.source import Wish
from edge_aigc.errors import ConversionError
from edge_aigc.interpreter import PACKAGES, Interpreter

pytestmark = pytest.mark.heavy

WHEELS = (
    compat.Wheel(runtime="tflite", release=compat.LAST_TFLITE),
    compat.Wheel(runtime="litert", release=compat.OLDEST["litert"]),
    compat.Wheel(runtime="litert", release="2.3.0"),
)
"""The last of the one, the oldest that we support and the newest of the other."""
EXTRA = {"tflite": "numpy<2"}
FORMS = {
    # Every recipe, then those that `convert` never writes and other tools do; each with whose tolerance it has.
    "float32": "float32",
    "float16": "float16",
    "dynamic": "dynamic",
    "dynamic, older kernels": "dynamic",
    "int8": "int8",
    "int8, older kernels": "int8",
    "mixed": "mixed",
    "int4": "int4",
    "int16x8": "int16x8",
    "dynamic, versions lowered": "dynamic",
    "dynamic, 4 bits": "dynamic",
    "int8, 16-bit activations": "int8",
}
REAL_ESRGAN = "EDGE_AIGC_ESRGAN"
"""A `.keras` of a trained ESRGAN generator to try beside the untrained one."""
FAITHFUL = 0.05
"""Root mean square from the float form, in shares of the range: above it a form is broken, not rounded."""
FAITHFUL_MIXED_DB = 55.0
"""Beyond what int8 reaches on any of the nets, so that mixed has something to leave out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One form of one net, and what it makes here."""

    net: str
    form: str
    flatbuffer: bytes
    file: Path


@functools.cache
def python_of(wheel):
    extra = [EXTRA[wheel.runtime]] if wheel.runtime in EXTRA else []
    return environment(f"{PACKAGES[wheel.runtime]}=={wheel.release}", *extra)


def loaded(wheel, action, file):
    """Return what `load_case.py` prints in the environment of a release; a crash in words."""
    command = [str(python_of(wheel)), str(ROOT / "tests" / "load_case.py"), action, str(file)]
    done = subprocess.run(
        command, capture_output=True, text=True, env=clean(PYTHONPATH=str(ROOT)), check=False, timeout=120
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    return json.loads(lines[0].removeprefix("RESULT ")) if lines else {"refused": f"crash: exit {done.returncode}"}


def digits():
    return _from_source(load_keras(DIGITS))


def esrgan(folder):
    real = os.environ.get(REAL_ESRGAN)
    source = load_keras(Path(real) if real else nets.esrgan(folder), Wish(input_size=(16, 16)))
    return _from_source(source)


def _from_source(source):
    dice = np.random.default_rng(5)
    samples = tuple(tuple(dice.random(fact.shape, dtype=np.float32) for fact in source.inputs) for _ in range(16))
    return small_nets.Net(flatbuffer=source.flatbuffer, samples=samples)


def made(net, form):
    """Return a form of a net, or None where the converter says that there is none."""
    try:
        if form == "dynamic, 4 bits":
            return four_bits(net.flatbuffer)
        if form == "int8, 16-bit activations":
            return wide_activations(net)
        flatbuffer = quantize(
            net.flatbuffer,
            FORMS[form],
            calibration=[list(sample) for sample in net.samples],
            int8_borders=False,
            older_kernels="older kernels" in form,
            aim=Aim(minimum_db=FAITHFUL_MIXED_DB),
        )
    except (ConversionError, RuntimeError):
        return None
    return lowered(flatbuffer) if form == "dynamic, versions lowered" else flatbuffer


def lowered(flatbuffer):
    """Hide versions that tflite-runtime 2.14 lacks."""
    model = parse(flatbuffer)
    for code in model.operatorCodes:
        code.version = min(code.version, 9)
    return serialize(model)


def four_bits(flatbuffer):
    work = quantizer.Quantizer(flatbuffer)
    work.load_quantization_recipe(recipe.dynamic_wi4_afp32())
    return bytes(work.quantize().quantized_model)


def wide_activations(net):
    if len(parse(net.flatbuffer).subgraphs) > 1:
        return None  # the calibrator crashes on loops, see quantize.py
    import tensorflow as tf
    from tensorflow.lite.python.optimize import calibrator

    def samples():
        yield from map(list, net.samples)

    work = calibrator.Calibrator(net.flatbuffer)
    return bytes(work.calibrate_and_quantize(samples, tf.float32, tf.float32, False, tf.int16, tf.int64))


def save(case_file, flatbuffer, inputs, outputs):
    arrays = {f"input{i:02}": array for i, array in enumerate(inputs)}
    arrays |= {f"output{i:02}": array for i, array in enumerate(outputs)}
    np.savez(case_file, flatbuffer=np.frombuffer(flatbuffer, np.uint8), **arrays)


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    """Every form of every net, with what it makes on the newest runtime, which is the one installed here."""
    folder = tmp_path_factory.mktemp("cases")
    built = {"digits": digits(), "esrgan": esrgan(folder)} | {name: small_nets.net(name) for name in small_nets.NAMES}
    found, missing = [], []
    for name, net in built.items():
        inputs = list(net.samples[0])
        float_outputs = Interpreter(net.flatbuffer).run(inputs)
        for form in FORMS:
            flatbuffer = made(net, form)
            if flatbuffer is None:
                missing.append((name, form))
                continue
            outputs = Interpreter(made(net, "dynamic") if "lowered" in form else flatbuffer).run(inputs)
            worst = max(distance(one, other)[0] for one, other in zip(outputs, float_outputs, strict=True))
            assert worst < FAITHFUL, (name, form, worst)
            file = folder / f"{name}-{form}.npz"
            save(file, flatbuffer, inputs, outputs)
            found.append(Case(net=name, form=form, flatbuffer=flatbuffer, file=file))
    return found, missing


def outcome(case, wheel):
    """Return whether a form runs on a release, and a word on it."""
    result = loaded(wheel, "run", case.file)
    if "refused" in result:
        return False, result["refused"]
    assert result["runtime"] == str(wheel)
    allowed = TOLERANCES[FORMS[case.form]]
    right = result["rms"] <= allowed.rms and result["largest"] <= allowed.largest
    return right, f"{result['rms']:.0e}" if right else f"WRONG, off by {result['rms']:.0%}"


def table(rows, missing):
    lines = ["", f"{'':42}" + "".join(f"{wheel!s:44}" for wheel in WHEELS)]
    lines += [f"{net:16}{form:26}" + "".join(f"{word:44}" for word in words) for (net, form), words in rows.items()]
    lines += [f"{net:16}{form:26}cannot be made" for net, form in missing]
    return "".join(f"{line.rstrip()}\n" for line in lines)


def test_what_is_predicted_is_what_happens(cases, capsys):
    found, missing = cases
    for wheel in WHEELS:
        python_of(wheel)
    tried = [(case, wheel) for case in found for wheel in WHEELS]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        outcomes = list(pool.map(lambda pair: outcome(*pair), tried))
    rows, mismatches = {}, []
    for (case, wheel), (runs, word) in zip(tried, outcomes, strict=True):
        predicted = compat.incompatibilities(case.flatbuffer, wheel)
        rows.setdefault((case.net, case.form), []).append(word if runs else f"no: {word[:40]}")
        if runs == bool(predicted):
            mismatches.append((case.net, case.form, str(wheel), [need.reason for need in predicted], word))
    summary = (
        f"{len(tried)} cases: {sum(runs for runs, _ in outcomes)} run, "
        f"{sum(not runs for runs, _ in outcomes)} do not, {len(mismatches)} predicted otherwise"
    )
    with capsys.disabled():
        click.echo(table(rows, missing) + summary)
    assert not mismatches


@pytest.mark.parametrize(("release", "runs"), [("1.4.0", True), ("2.1.0", False)])
def test_int8_batch_matmul_is_wrong_in_silence_for_a_few_releases(release, runs, cases):
    """Not among the three releases, and the reason why a first release is not enough."""
    wheel = compat.Wheel(runtime="litert", release=release)
    (case,) = (case for case in cases[0] if (case.net, case.form) == ("matching", "int8"))
    assert bool(compat.incompatibilities(case.flatbuffer, wheel)) is not runs
    assert outcome(case, wheel)[0] is runs


VERSIONS = range(1, 17)
"""The highest that any operator has is 14."""


def probe(number, version):
    """Return a flatbuffer that lists an operator and does not use it: a runtime looks it up all the same."""
    model, graph, code, tensor = schema.ModelT(), schema.SubGraphT(), schema.OperatorCodeT(), schema.TensorT()
    code.builtinCode, code.deprecatedBuiltinCode, code.version = number, min(number, 127), version
    tensor.name, tensor.shape, tensor.type, tensor.buffer = b"x", [1], schema.TensorType.FLOAT32, 0
    graph.tensors, graph.operators, graph.inputs, graph.outputs = [tensor], [], [0], [0]
    model.version, model.operatorCodes, model.subgraphs, model.buffers = 3, [code], [graph], [schema.BufferT()]
    builder = flatbuffers.Builder(512)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


@pytest.mark.parametrize("wheel", WHEELS, ids=str)
def test_every_version_of_every_operator_is_registered_where_the_table_says(wheel, tmp_path, capsys):
    numbers = {name: number for name, number in vars(schema.BuiltinOperator).items() if isinstance(number, int)}
    pairs = [(name, version) for name in numbers if name != "CUSTOM" for version in VERSIONS]
    file = tmp_path / "probes.pickle"
    file.write_bytes(pickle.dumps([probe(numbers[name], version) for name, version in pairs], protocol=4))
    real = {pairs[index] for index in loaded(wheel, "listed", file)}
    predicted = {(name, version) for name, version in pairs if _is_registered(name, version, wheel)}
    with capsys.disabled():
        click.echo(f"\n{wheel}: {len(real)} of {len(pairs)} operators and versions are registered", nl=False)
    assert predicted == real


def _is_registered(name, version, wheel):
    first = compat.registered(name, version, wheel.runtime)
    return first is not None and compat.numbers(first) <= compat.numbers(wheel.release)
