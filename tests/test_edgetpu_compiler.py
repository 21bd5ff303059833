"""`edgetpu_compiler` driven and its log read, over a program that replays recorded logs."""

from __future__ import annotations

import json
import time

import nets
import pytest
from bundles import DATA
from edgetpu_files import PAIRS, compiled_like, coral_model, log
from standin_compiler import Run, StandIn

from edge_aigc.bundle import read_bundle
from edge_aigc.cli import run
from edge_aigc.converters.graph import operators
from edge_aigc.converters.targets.edgetpu import (
    COMPILED_FILE,
    CUSTOM_OPERATOR,
    CompilerOptions,
    EdgeTpuTarget,
    compile_model,
    parse_log,
)
from edge_aigc.converters.targets.edgetpu import compiler as compiler_module
from edge_aigc.converters.targets.target import CompileOrder
from edge_aigc.devices.catalog import find_profile
from edge_aigc.errors import ConversionError

MODEL = (DATA / "tiny.tflite").read_bytes()
WHOLE = Run(says=log("whole"), makes=compiled_like(MODEL))
INTERNAL_ERROR = Run(says=log("211_internal_error"))


@pytest.fixture
def compiler(tmp_path, monkeypatch):
    """Put the stand-in on PATH, which then does these runs one after another, the last for ever."""

    def install(*runs):
        standin = StandIn(tmp_path / "bin", list(runs))
        monkeypatch.setenv("PATH", standin.search_path)
        return standin

    return install


def compile_for(profile="coral-usb", model=MODEL, **order):
    return EdgeTpuTarget().compile(model, find_profile(profile), CompileOrder(**order))


def test_a_whole_log_is_read():
    found = parse_log(log("whole"))
    assert found.verdict == "compiled"
    assert found.version == "16.0.384591198"
    assert (found.on_tpu, found.on_cpu, found.subgraphs) == (5, 0, 1)
    assert found.on_chip_bytes == 12 * 1024
    assert found.off_chip_bytes == 0
    assert [row.kind for row in found.rows if row.on_tpu][-1] == "TANH"


def test_what_stays_on_the_cpu_is_read_with_its_reason():
    found = parse_log(log("leaky_relu"))
    assert (found.on_tpu, found.on_cpu) == (3, 3)
    assert {row.kind: row.status for row in found.rows if not row.on_tpu} == {
        "LEAKY_RELU": "Operation not supported",
        "TRANSPOSE_CONV": "More than one subgraph is not supported",
        "TANH": "More than one subgraph is not supported",
    }


def test_a_part_of_a_log_is_read_as_far_as_it_goes():
    found = parse_log(log("490_part"))
    assert (found.on_tpu, found.on_cpu, found.version) == (261, 6, None)
    assert sum(row.count for row in found.rows if row.kind == "CONCATENATION") == 2


def test_the_table_is_taken_from_the_operation_log_where_there_is_one():
    said = log("whole").partition("Operator ")[0]
    assert parse_log(said).rows == ()
    beside = f"Edge TPU Compiler version 16.0.384591198\nInput: a.tflite\nOutput: b.tflite\n\n{log('leaky_relu')}"
    assert next(row.kind for row in parse_log(said, operators=beside).rows if not row.on_tpu) == "LEAKY_RELU"


def test_of_several_attempts_within_a_run_the_last_counts():
    found = parse_log(log("671_searched"))
    assert found.verdict == "compiled"
    assert (found.on_tpu, found.on_cpu) == (84, 0)


@pytest.mark.parametrize(
    ("name", "verdict", "reason"),
    [
        ("211_internal_error", "failed", "Internal compiler error. Aborting"),
        ("800_no_reason", "failed", "Compilation failed"),
        ("728_crash", "failed", "uncaught exception of type std::out_of_range"),
        ("313_not_quantized", "refused", "not int8 throughout"),
        ("845_operator_too_new", "refused", "Didn't find op for builtin opcode 'TRANSPOSE_CONV' version '4'"),
        ("829_dynamic", "refused", "does not load in its interpreter"),
        ("601_large_activations", "too large", "activations are too large"),
        ("686_timeout", "too large", "ran out of its time"),
    ],
)
def test_failures_are_told_apart(name, verdict, reason):
    found = parse_log(log(name))
    assert found.verdict == verdict
    assert reason in found.reason


def test_a_compiled_model_travels_beside_the_one_for_the_cpu(compiler):
    standin = compiler(WHOLE)
    compiled = compile_for()
    assert compiled.files == {COMPILED_FILE: WHOLE.makes}
    facts = compiled.edgetpu
    assert facts.compiled
    assert (facts.file, facts.compiler, facts.attempts) == (COMPILED_FILE, "16.0.384591198", 1)
    assert (facts.on_tpu, facts.on_cpu, facts.min_runtime) == (5, 0, 14)
    assert (facts.on_chip_bytes, facts.instruction_bytes) == (4096, 2048)
    assert facts.estimate.link == "USB 3 on a Raspberry Pi 4"
    (arguments,) = standin.runs
    assert arguments[:3] == ["--show_operations", "--timeout_sec", "180"]


def test_an_internal_error_is_tried_again(compiler):
    standin = compiler(INTERNAL_ERROR, INTERNAL_ERROR, WHOLE)
    assert compile_for().edgetpu.attempts == 3
    assert len(standin.runs) == 3


def test_it_gives_up_after_its_tries(compiler):
    standin = compiler(INTERNAL_ERROR)
    facts = compile_for().edgetpu
    assert not facts.compiled
    assert facts.reason == "Not compiled: edgetpu_compiler said: Internal compiler error. Aborting (5 runs)."
    assert facts.compiler == "14.1.317412892"
    assert len(standin.runs) == 5


def test_a_refusal_is_not_tried_again(compiler):
    standin = compiler(Run(says=log("845_operator_too_new")))
    assert "version '4'" in compile_for().edgetpu.reason
    assert len(standin.runs) == 1


def test_what_is_too_large_is_searched_for_a_part_that_is_not(compiler):
    standin = compiler(Run(says=log("601_large_activations")), Run(says=log("671_searched"), makes=WHOLE.makes))
    assert compile_for().edgetpu.on_tpu == 84
    assert "--search_delegate" not in standin.runs[0]
    assert "--search_delegate" in standin.runs[1]


def test_the_words_without_the_file_are_no_success(compiler):
    standin = compiler(Run(says=log("whole")))
    compiled = compile_for()
    assert compiled.files == {}
    assert "said that it did, and wrote no file" in compiled.edgetpu.reason
    assert len(standin.runs) == 1


def test_the_file_without_the_words_is_no_success(compiler):
    compiler(Run(says=log("800_no_reason"), makes=WHOLE.makes))
    assert compile_for().files == {}


def test_a_success_that_mapped_nothing_is_none(compiler):
    compiler(Run(says=log("358_nothing_mapped"), makes=MODEL))
    assert compile_for().edgetpu.reason == "Not compiled: edgetpu_compiler mapped no operator."


def test_a_damaged_result_is_refused(compiler):
    broken = WHOLE.makes.replace(b"DWN1", b"DWN2")
    compiler(Run(says=log("whole"), makes=broken))
    with pytest.raises(ConversionError, match="cannot be read"):
        compile_for()


def test_a_compiler_that_hangs_is_killed_with_its_children(compiler, monkeypatch):
    standin = compiler(Run(says="Edge TPU Compiler version 16.0.384591198", hangs=True), WHOLE)
    monkeypatch.setattr(compiler_module, "_GRACE_S", 1)
    started_s = time.monotonic()
    outcome = compile_model(str(standin.path), MODEL, CompilerOptions(timeout_s=1))
    assert time.monotonic() - started_s < 20
    assert outcome.compiled == WHOLE.makes
    assert "--search_delegate" in standin.runs[1]


def test_the_runtime_that_is_asked_for_is_passed_on(compiler):
    standin = compiler(WHOLE)
    compile_for(min_tpu_runtime=13)
    place = standin.runs[0].index("--min_runtime_version")
    assert standin.runs[0][place + 1] == "13"


@pytest.mark.parametrize("runtime", [10, 11, 15])
def test_a_runtime_without_int8_is_refused(runtime):
    with pytest.raises(ConversionError, match="cannot be compiled for: int8 needs 12"):
        CompilerOptions(min_runtime=runtime)


def test_without_the_compiler_the_manifest_says_what_to_expect(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    facts = compile_for(model=coral_model("deeplabv3_mnv2_dm05_pascal_quant")).edgetpu
    assert not facts.compiled
    assert "edgetpu_compiler is not on PATH" in facts.reason
    assert sum(entry.count for entry in facts.operators if entry.on == "tpu") == 64
    assert facts.first_break.startswith("RESIZE_BILINEAR 'ResizeBilinear'")
    assert facts.estimate.latency_ms > 0


def test_convert_drives_the_compiler_and_inspect_shows_it(compiler, tmp_path, capfd):
    standin = compiler(INTERNAL_ERROR, WHOLE)
    model = nets.gan(tmp_path)
    flags = ["--prior", "latent=normal", "--classes", "kind=a,b,c", "-o", str(tmp_path / "x.aigc")]
    assert run(["convert", str(model), "--profile", "coral-usb", "--tpu-runtime", "13", *flags]) == 0
    said = capfd.readouterr().err
    assert "compiled by 16.0.384591198 in 2 runs" in said
    assert "5 of 5 operators run on the Edge TPU" in said
    assert "pycoral's published benchmarks" in said
    assert "13" in standin.runs[0]
    assert set(read_bundle(tmp_path / "x.aigc").content) == {"model.tflite", COMPILED_FILE, "golden.npz"}
    assert run(["inspect", str(tmp_path / "x.aigc")]) == 0
    shown = capfd.readouterr().out
    assert "edge tpu    compiled by 16.0.384591198" in shown
    assert "parameters 4,096 B cached on the Edge TPU" in shown


@pytest.mark.parametrize(("profile", "runtime"), [("coral-usb", "11"), ("rpi4", "13")])
def test_a_runtime_that_cannot_be_meant_is_misuse(tmp_path, capfd, profile, runtime):
    flags = ["--profile", profile, "--tpu-runtime", runtime, "-o", str(tmp_path / "x.aigc"), "--json"]
    assert run(["convert", *flags]) == 2
    assert "tpu-runtime" in json.loads(capfd.readouterr().out)["error"]["message"]
    assert not (tmp_path / "x.aigc").exists()


@pytest.mark.parametrize("name", PAIRS)
def test_what_was_compiled_elsewhere_tells_what_stayed_on_the_cpu(name, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    source, compiled = coral_model(name), coral_model(f"{name}_edgetpu")
    facts = compile_for(model=source, compiled=compiled).edgetpu
    left = [operator for operator in operators(compiled) if operator.kind != CUSTOM_OPERATOR]
    assert facts.compiled
    assert facts.on_cpu == len(left)
    assert facts.on_tpu + facts.on_cpu == len(operators(source))
    assert facts.instruction_bytes > 0


def test_what_was_compiled_of_another_model_is_refused():
    other = coral_model("mobilenet_v1_0.5_160_quant_edgetpu")
    with pytest.raises(ConversionError, match="this model does not"):
        compile_for(model=coral_model("deeplabv3_mnv2_dm05_pascal_quant"), compiled=other)
    with pytest.raises(ConversionError, match="holds no part for an Edge TPU"):
        compile_for(model=MODEL, compiled=MODEL)


def test_a_model_that_was_compiled_elsewhere_comes_into_the_bundle(tmp_path, capfd, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    model = nets.gan(tmp_path)
    first, second = tmp_path / "first.aigc", tmp_path / "second.aigc"
    common = ["convert", str(model), "--profile", "coral-usb", "--prior", "latent=normal", "--classes", "kind=a,b,c"]
    assert run([*common, "-o", str(first)]) == 0
    assert "--edgetpu-model model_edgetpu.tflite" in capfd.readouterr().err
    elsewhere = tmp_path / "model_edgetpu.tflite"
    elsewhere.write_bytes(compiled_like(read_bundle(first).flatbuffer))
    assert run([*common, "--edgetpu-model", str(elsewhere), "-o", str(second)]) == 0
    assert "compiled elsewhere, needs Edge TPU runtime 14" in capfd.readouterr().err
    made = read_bundle(second)
    assert made.flatbuffer == read_bundle(first).flatbuffer
    assert made.content[COMPILED_FILE] == elsewhere.read_bytes()
    assert run([*common, "--edgetpu-model", str(tmp_path / "none.tflite"), "-o", str(tmp_path / "x.aigc")]) == 1
    assert not (tmp_path / "x.aigc").exists()
