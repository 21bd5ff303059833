"""The verbs that need neither a broker nor TensorFlow: what they print, what they refuse."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from bundles import negative_bundle, tiny_bundle
from PIL import Image

from edge_aigc.cli import VERBS, run
from edge_aigc.devices.catalog import profile_names


@pytest.fixture
def bundle(tmp_path):
    return str(tiny_bundle(tmp_path))


def printed(capfd, *arguments):
    """Run a verb in this process; return the exit code and its JSON."""
    code = run([*map(str, arguments), "--json"])
    return code, json.loads(capfd.readouterr().out)


def test_help_explains_every_verb_with_an_example(capfd):
    assert run(["--help"]) == 0
    overview = capfd.readouterr().out
    for verb in VERBS:
        assert verb in overview
        assert run([verb, "--help"]) == 0
        text = " ".join(capfd.readouterr().out.split())
        assert f"edge-aigc {verb}" in text
        assert "--json" in text


def test_help_is_quick_because_it_imports_nothing_heavy():
    script = (
        "import sys; from edge_aigc.cli import run; run(['--help']);"
        "heavy = {'numpy', 'PIL', 'tensorflow', 'rich'} & set(sys.modules); sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_importing_the_package_is_light():
    script = "import sys, edge_aigc; sys.exit('numpy' in sys.modules or 'msgspec' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


@pytest.mark.parametrize("arguments", [[], ["paint"], ["generate"], ["generate", "x", "--count", "0"], ["--loud"]])
def test_misuse_exits_2_and_points_to_help(capfd, arguments):
    assert run(arguments) == 2
    assert "--help" in capfd.readouterr().err


def test_a_misspelt_verb_gets_the_nearest_and_the_list(capfd):
    assert run(["convrt"]) == 2
    words = capfd.readouterr().err
    assert "There is no verb 'convrt'. Did you mean 'convert'? There are 'convert', 'inspect'" in words


def test_a_refusal_is_all_that_a_person_reads():
    # Of a model that was loaded: TensorFlow's own log stays away.
    command = [sys.executable, "-m", "edge_aigc.cli", "convert", "--profile", "rpi4", "--classes", "digit=a"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("edge-aigc: digits.toml does not describe a generator")


def test_inspect_prints_the_manifest(capfd, bundle):
    code, manifest = printed(capfd, "inspect", bundle)
    assert code == 0
    assert manifest["name"] == "tiny"
    assert manifest["spec"]["inputs"][0]["prior"] == "normal"
    assert run(["inspect", bundle]) == 0
    assert "prior normal" in capfd.readouterr().out


def test_generate_prints_what_scripts_rely_on(capfd, bundle, tmp_path):
    folder = tmp_path / "out"
    code, result = printed(capfd, "generate", bundle, "digit=3", "--seed", 2**64 - 1, "--count", 2, "-o", folder)
    assert code == 0
    assert [sample["seed"] for sample in result["samples"]] == [2**64 - 1, 0]
    for sample in result["samples"]:
        assert sample["gen_ms"] > 0
        with Image.open(sample["path"]) as image:
            assert image.size == (8, 8)


def test_generate_takes_the_format_from_the_option_or_the_suffix(capfd, bundle, tmp_path):
    _, by_option = printed(capfd, "generate", bundle, "--format", "webp", "-o", tmp_path / "a")
    assert by_option["samples"][0]["path"].endswith(".webp")
    _, by_suffix = printed(capfd, "generate", bundle, "-o", tmp_path / "b.jpg")
    with Image.open(by_suffix["samples"][0]["path"]) as image:
        assert image.format == "JPEG"


def test_generate_never_writes_over_another_sample_of_the_same_seed(capfd, bundle, tmp_path):
    words = ("generate", bundle, "--seed", 7, "-o", tmp_path / "out")
    code, first = printed(capfd, *words, "digit=3")
    path = Path(first["samples"][0]["path"])
    three = path.read_bytes()
    assert code == 0
    assert printed(capfd, *words, "digit=3")[0] == 0, "the same sample again is no loss"
    code, refused = printed(capfd, *words, "digit=4")
    assert (code, refused["error"]["code"]) == (1, "file")
    assert f"{path} is there already" in refused["error"]["message"]
    assert "--force" in refused["error"]["remedy"]
    assert path.read_bytes() == three
    assert printed(capfd, *words, "digit=4", "--force")[0] == 0
    assert path.read_bytes() != three


def test_generate_replaces_a_file_that_is_named(capfd, bundle, tmp_path):
    path = tmp_path / "three.png"
    path.write_bytes(b"something else")
    assert printed(capfd, "generate", bundle, "--seed", 7, "-o", path)[0] == 0
    with Image.open(path) as image:
        assert image.size == (8, 8)


def test_generate_takes_a_picture(capfd, tmp_path):
    photo = tmp_path / "photo.png"
    Image.new("RGB", (8, 8), "red").save(photo)
    model = negative_bundle(tmp_path)
    code, result = printed(capfd, "generate", model, "--input", f"photo={photo}", "-o", tmp_path / "n.png")
    assert code == 0
    with Image.open(result["samples"][0]["path"]) as image:
        assert image.getpixel((0, 0)) == (0, 255, 255)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["-o", "x/a.txt"], "usage", "Name it x/a.aigc, or make the folder first"),
        (["-o", "two.aigc", "--profile", "rpi5"], "usage", "there are 2 profiles"),
        (["-o", "file/below"], "file", "Cannot write file/below: Not a directory"),
        (["-o", "file"], "file", "Cannot write file: Not a directory"),
        (["-o", "/proc/nowhere/x.aigc"], "file", "Cannot write /proc/nowhere"),
        (["--report", "folder"], "usage", "--report folder/report.html"),
        (["--report", "/proc/nowhere/x.html"], "file", "Cannot write /proc/nowhere"),
    ],
)
def test_convert_notices_where_it_cannot_write_before_it_converts(capfd, tmp_path, monkeypatch, arguments, code, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    # Had it begun to convert, it would complain of the model that is not there.
    _, result = printed(capfd, "convert", "nothing.keras", "--profile", "rpi4", *arguments)
    assert result["error"]["code"] == code
    assert words in f"{result['error']['message']} {result['error']['remedy']}"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "folder"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["digit=11"], "input", "no class '11'. Its classes go from '0' to '9'"),
        (["size=3"], "input", "no control 'size'"),
        (["--seed", "-1"], "input", "2^64"),
        (["--format", "gif"], "input", "png, webp, jpeg"),
        (["--input", "photo=x.png"], "input", "takes no picture 'photo'"),
        (["-o", "/proc/nowhere/x.png"], "file", "Cannot write"),
    ],
)
def test_generate_refuses_and_writes_nothing(capfd, bundle, tmp_path, monkeypatch, arguments, code, words):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    exit_code, result = printed(capfd, "generate", bundle, *arguments)
    assert exit_code == 1
    assert result["error"]["code"] == code
    assert words in f"{result['error']['message']} {result['error']['remedy']}"
    assert sorted(tmp_path.rglob("*")) == before


def test_a_damaged_bundle_is_refused_by_every_verb_that_opens_one(capfd, bundle):
    content = bytearray(Path(bundle).read_bytes())
    content[5000] ^= 1
    Path(bundle).write_bytes(content)
    for verb in ("inspect", "generate", "bench"):
        code, result = printed(capfd, verb, bundle)
        assert code == 1
        assert result["error"]["code"] == "bundle"


def test_bench_prints_what_scripts_rely_on(capfd, bundle):
    code, result = printed(capfd, "bench", bundle, "--rounds", 20)
    assert code == 0
    assert 0 < result["median_ms"] <= result["p95_ms"]
    assert result["peak_rss_bytes"] > 1_000_000
    assert result["runtime"].split()[0] in {"ai-edge-litert", "tflite-runtime"}
    assert "this machine" in result["where"]
    assert result["rounds"] == 20
    assert result["q1_ms"] <= result["median_ms"] <= result["q3_ms"]
    assert 0 < result["peak_ram_bytes"] < result["peak_rss_bytes"]
    assert result["sample_ms"] > result["encode_ms"] > 0
    assert result["trusted"] is (not result["doubts"])


def test_bench_sweeps_threads_and_tells_a_person_what_it_doubts(capfd, bundle):
    code, result = printed(capfd, "bench", bundle, "--threads", "1,3,1", "--rounds", 10, "--warm-up", 2)
    assert code == 0
    assert [row["threads"] for row in result["rows"]] == [1, 3]
    assert result["rows"][0]["warm_up"]["invocations"] == 2
    assert run(["bench", bundle, "--sweep", "--rounds", "10", "--threads", "64"]) == 2
    assert "--sweep" in capfd.readouterr().err
    assert run(["bench", bundle, "--threads", "64", "--rounds", "10"]) == 0
    captured = capfd.readouterr()
    assert captured.out.startswith("this machine (")
    assert "64 threads share" in captured.err


@pytest.mark.parametrize("threads", ["0", "65", "1,", "two", "-1"])
def test_bench_takes_numbers_of_threads_and_nothing_else(capfd, bundle, threads):
    assert run(["bench", bundle, "--threads", threads]) == 2
    assert "numbers from 1 to 64" in capfd.readouterr().err


def test_profiles_lists_and_shows(capfd):
    _, result = printed(capfd, "profiles")
    assert [profile["name"] for profile in result["profiles"]] == list(profile_names())
    assert run(["profiles", "rpi4"]) == 0
    assert "Cortex-A72" in capfd.readouterr().out


def test_errors_are_words_on_stderr_and_json_on_stdout(capfd):
    assert run(["inspect", "nowhere.aigc"]) == 1
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("edge-aigc: Cannot read the bundle nowhere.aigc")
    assert captured.err.count("\n") == 1


def test_a_reader_that_leaves_early_is_no_error(bundle):
    command = f"{sys.executable} -m edge_aigc.cli inspect {bundle} | head -c 1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, check=False)
    assert b"Traceback" not in done.stderr
