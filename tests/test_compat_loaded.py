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

import flatbuffers
import nets
import numpy as np
import pytest
import small_nets
from ai_edge_litert import schema_py_generated as schema
from environments import ROOT, clean, environment
from load_case import _distance

from edge_aigc.converters import compat
from edge_aigc.converters.graph import parse, serialize
from edge_aigc.converters.models import DIGITS
from edge_aigc.converters.pipeline import TOLERANCES
from edge_aigc.converters.quantize import quantize
from edge_aigc.converters.sources.keras import load_keras
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
    # Every recipe, and those that `convert` never writes but other tools do.
    "float32": "float32",
    "float16": "float16",
    "dynamic": "dynamic",
    "dynamic, older kernels": "dynamic",
    "dynamic, versions lowered": "dynamic",
    "int8": "int8",
}
REAL_ESRGAN = "EDGE_AIGC_ESRGAN"
"""A `.keras` of a trained ESRGAN generator to try beside the untrained one."""
FAITHFUL = 0.05
"""Root mean square from the float form, in shares of the range: above it a form is broken, not rounded."""


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
    source = load_keras(Path(real) if real else nets.esrgan(folder), input_size=(16, 16))
    return _from_source(source)


def _from_source(source):
    dice = np.random.default_rng(5)
    samples = tuple(tuple(dice.random(fact.shape, dtype=np.float32) for fact in source.inputs) for _ in range(16))
    return small_nets.Net(flatbuffer=source.flatbuffer, samples=samples)


def made(net, form):
    """Return a form of a net, or None where the converter says that there is none."""
    calibration = [list(sample) for sample in net.samples]
    older = form == "dynamic, older kernels"
    try:
        flatbuffer = quantize(
            net.flatbuffer, FORMS[form], calibration=calibration, int8_borders=False, older_kernels=older
        )
    except ConversionError:
        return None
    if form == "dynamic, versions lowered":
        model = parse(flatbuffer)
        for code in model.operatorCodes:
            code.version = min(code.version, 9)
        return serialize(model)
    return flatbuffer


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
            worst = max(_distance(one, other)[0] for one, other in zip(outputs, float_outputs, strict=True))
            assert worst < FAITHFUL, (name, form, worst)
            file = folder / f"{name}-{form}.npz"
            arrays = {f"input{i:02}": array for i, array in enumerate(inputs)}
            arrays |= {f"output{i:02}": array for i, array in enumerate(outputs)}
            np.savez(file, flatbuffer=np.frombuffer(flatbuffer, np.uint8), **arrays)
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
    with capsys.disabled():
        print(f"\n{'':42}" + "".join(f"{wheel!s:44}" for wheel in WHEELS))
        for (net, form), words in rows.items():
            print(f"{net:16}{form:26}" + "".join(f"{word:44}" for word in words))
        for net, form in missing:
            print(f"{net:16}{form:26}cannot be made")
        print(
            f"{len(tried)} cases: {sum(runs for runs, _ in outcomes)} run, "
            f"{sum(not runs for runs, _ in outcomes)} do not, {len(mismatches)} predicted otherwise"
        )
    assert not mismatches


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
        print(f"\n{wheel}: {len(real)} of {len(pairs)} operators and versions are registered", end="")
    assert predicted == real


def _is_registered(name, version, wheel):
    first = compat.registered(name, version, wheel.runtime)
    return first is not None and compat.numbers(first) <= compat.numbers(wheel.release)
