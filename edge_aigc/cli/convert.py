"""`edge-aigc convert`: the main job."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_aigc.cli.bundle_files import check_places, write_bundles
from edge_aigc.cli.convert_words import report, what_was_tried
from edge_aigc.cli.edgetpu_options import check_edgetpu_options, compile_order, edgetpu_options
from edge_aigc.cli.figures import Figure
from edge_aigc.cli.like import record_of
from edge_aigc.cli.loop_options import loop_options
from edge_aigc.cli.meters import meters_for
from edge_aigc.cli.output import json_option, parse_pairs, say
from edge_aigc.cli.progress import steps
from edge_aigc.cli.prune_options import prune_options, prune_order
from edge_aigc.cli.report_page import page_of, require_report, write_page
from edge_aigc.cli.sizes import parse_size
from edge_aigc.cli.source_options import generator_name, source_options, wish_from
from edge_aigc.cli.ssh_options import ssh_options
from edge_aigc.files import cache_folder, require_folder
from edge_aigc.quiet import stderr_held

if TYPE_CHECKING:
    from edge_aigc.cli.like import Like
    from edge_aigc.converters.order import Order
    from edge_aigc.converters.specification import Statement

_MOST_FIDELITY = 100
"""Decibels, or per cent of the tokens: what two equal outputs reach, so that more cannot be promised."""


def _ranges(ctx: click.Context, param: click.Parameter, words: tuple[str, ...]) -> dict[str, tuple[float, float]]:
    ranges = {}
    for word in words:
        name, _, limits = word.rpartition("=")
        try:
            low, high = (float(part) for part in limits.split(","))
        except ValueError as exc:
            raise click.BadParameter(f"{word!r} is not NAME=LOW,HIGH or LOW,HIGH.", ctx, param) from exc
        ranges[name] = (low, high)
    return ranges


@click.command(
    "convert",
    epilog="Without MODEL the digits generator that ships with edge-aigc is converted: "
    "`edge-aigc convert --profile rpi4`. A picture model: `edge-aigc convert sr.keras --profile rpi4 "
    "--range 0,1 --input-size 64x64 --calibration photos/`.",
)
@click.argument("model", required=False, type=click.Path(path_type=Path))
@click.option("--profile", "profiles", multiple=True, required=True, help="Device; may be given several times.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Folder, or the file for one profile.")
@click.option(
    "--recipe",
    type=click.Choice(["auto", "float32", "float16", "dynamic", "int4", "int8", "int16x8", "mixed"]),
    default="auto",
    show_default=True,
    help="Number types; auto tries what the device allows and takes the smallest of the fastest.",
)
@click.option(
    "--min-fidelity",
    type=Figure(0, _MOST_FIDELITY),
    help="Below it nothing is written. Pictures: paired PSNR, default 30 dB; sounds: SNR, 20 dB; text: agreeing "
    "tokens, 95 %; points: Chamfer distance under the diagonal, 40 dB.",
)
@click.option(
    "--max-latency",
    type=Figure(min=0, min_open=True),
    metavar="MS",
    help="Of one invocation; with it the most faithful is taken that keeps it, with --min-fidelity too the smallest.",
)
@click.option("--max-size", metavar="SIZE", callback=parse_size, help="Of the model's file, for example 2MB.")
@prune_options
@click.option(
    "--runtime", type=click.Choice(["litert", "tflite"]), help="Only this runtime; default: all that the profile lists."
)
@click.option("--spec", "spec_file", type=click.Path(path_type=Path), help="Specification in TOML, whole or in part.")
@click.option("--name", help="Of the generator, in topics and file names; default: the file's name.")
@click.option("--family", type=click.Choice(["gan", "vae", "autoregressive", "image-to-image", "other"]))
@click.option(
    "--prior",
    multiple=True,
    callback=parse_pairs("NAME=KIND"),
    metavar="NAME=KIND",
    help="normal, uniform, noise, constant, choice, image or tokens.",
)
@click.option(
    "--classes",
    multiple=True,
    callback=parse_pairs("NAME=A,B,C"),
    metavar="NAME=A,B,C",
    help="An input that is one of these classes.",
)
@click.option(
    "--media",
    multiple=True,
    callback=parse_pairs("NAME=KIND"),
    metavar="NAME=KIND",
    help="What an output is: image, audio, text, points or raw.",
)
@click.option(
    "--range",
    "ranges",
    multiple=True,
    callback=_ranges,
    metavar="[NAME=]LOW,HIGH",
    help="Black and white of pictures, the loudest of sounds, for example 0,1 or -1,1.",
)
@click.option("--sample-rate", type=click.IntRange(1, 1_000_000), metavar="HZ", help="Of sounds.")
@source_options
@click.option(
    "--calibration", type=click.Path(path_type=Path), metavar="DIR", help="Pictures, for models whose input is one."
)
@click.option("--onnx", is_flag=True, help="Carry the ONNX form too: `accelerate` builds a GPU's engine from it.")
@loop_options
@edgetpu_options
@click.option(
    "--max-ram",
    metavar="SIZE",
    callback=parse_size,
    help="What the model may take, for example 512MB; default: what the device has left. More is at your own risk.",
)
@click.option(
    "--meter",
    type=click.Choice(["auto", "here", "counted"]),
    default="auto",
    show_default=True,
    help="Find costs by timing here, or by counting instructions under the device's CPU model; auto counts where "
    "that needs no setting up.",
)
@click.option(
    "--like",
    type=click.Path(path_type=Path),
    metavar="BUNDLE",
    help="Make the model of this bundle again, byte by byte: its recipe and forms, without a search.",
)
@click.option("--report", type=click.Path(path_type=Path), metavar="FILE", help="Write all this as one page of HTML.")
@click.option("--bundle-version", type=click.IntRange(min=0), help="Monotonic; default: seconds since 1970.")
@click.option("--licence", help="Of the weights, kept in the manifest.")
@ssh_options
@json_option
def command(
    model: Path | None, profiles: tuple[str, ...], output: Path | None, *, as_json: bool, **options: Any
) -> None:
    """Convert a trained generator for one or several devices.

    MODEL is a Keras 3 file (.keras), a SavedModel folder, .pt2, .onnx, a float .tflite, or package.module:function
    returning a PyTorch module (or a pair of it and its example inputs) or a Keras model. What it does not tell of
    itself is stated with --spec or flags.
    """
    from edge_aigc.devices.catalog import find_profile

    # Everything that can be refused is refused before TensorFlow takes its seconds to load.
    found = [find_profile(name) for name in dict.fromkeys(profiles)]
    check_places(output, options["report"], found)
    check_edgetpu_options(options, found)
    options["compile"] = compile_order(options)
    options["prune_order"] = prune_order(options)
    if options["prune_order"].teaches:
        require_folder(cache_folder())
    like = record_of(options, found)
    stated, path = _statement(model, options, like)
    _check_installed(onnx=options["onnx"])
    if options["report"] is not None:
        require_report()
    with what_was_tried(), steps() as tell:
        meter_for = meters_for(options, found, tell)
        tell("loading TensorFlow")
        with stderr_held():
            import keras  # noqa: F401 - it tells of itself on stderr when it is first imported

        from edge_aigc.converters.loops.asked import loop_asked
        from edge_aigc.converters.pipeline import convert
        from edge_aigc.converters.sources.load import load
        from edge_aigc.converters.specification import complete

        tell(f"loading {path.name}")
        loop = loop_asked(stated, path, options)
        source = load(path, wish_from(options), adapt=loop.adapt if loop else None)
        if loop is not None:
            stated, options["assets"] = loop.told(source)
        spec = complete(source.inputs, source.outputs, stated, default_name=generator_name(str(path), path.stem))
        if like is not None:
            like.check(source)
        drafts = convert(source, spec, found, _order(options, like), meter_for=meter_for, tell=tell, note=say)
        page = page_of(drafts, found, meter_for, tell) if options["report"] is not None else None
    report(drafts, write_bundles(drafts, output), as_json=as_json)
    if like is not None:
        say(like.compared(drafts[0]))
    if page is not None:
        write_page(options["report"], page)
    for profile in found:
        if profile.accelerator is not None and profile.accelerator.kind == "gpu" and not options["onnx"]:
            say(f"{profile.name} has a GPU: with `--onnx` the bundle could be accelerated there.")


def _statement(model: Path | None, options: dict[str, Any], like: Like | None) -> tuple[Statement, Path]:
    from edge_aigc.converters.models import DIGITS, DIGITS_LICENCE, DIGITS_SPEC
    from edge_aigc.converters.specification import Statement
    from edge_aigc.files import read_whole
    from edge_aigc.spec import SPEC_LIMIT_BYTES, parse_toml

    spec_file: Path | None = options["spec_file"]
    if model is None:
        spec_file = spec_file or (None if like else DIGITS_SPEC)
        options["licence"] = options["licence"] or DIGITS_LICENCE
    fields: dict[str, object] = {}
    origin = "What the flags say"
    if spec_file is not None:
        content = read_whole(spec_file, limit_bytes=SPEC_LIMIT_BYTES, what="specification")
        fields, origin = parse_toml(content, origin=spec_file.name), spec_file.name
    elif like is not None:
        fields, origin = like.specification(), like.path.name
    stated = Statement(
        file=fields,
        origin=origin,
        name=options["name"],
        family=options["family"],
        priors=options["prior"],
        classes={name: tuple(words.split(",")) for name, words in options["classes"].items()},
        media=options["media"],
        ranges=options["ranges"],
        sample_rate=options["sample_rate"],
    )
    return stated, model or DIGITS


def _order(options: dict[str, Any], like: Like | None) -> Order:
    from edge_aigc.converters.order import Order
    from edge_aigc.converters.search import Promises

    return Order(
        recipe=options["recipe"],
        runtime=options["runtime"],
        min_fidelity=options["min_fidelity"],
        promises=Promises(
            max_latency_ms=options["prune_to_latency"] if options["max_latency"] is None else options["max_latency"],
            max_size_bytes=options["max_size"],
            fidelity_stated=options["min_fidelity"] is not None,
        ),
        prune=options["prune_order"],
        max_ram_bytes=options["max_ram"],
        input_size=options["input_size"],
        pictures=options["calibration"],
        version=options["bundle_version"],
        licence=options["licence"],
        assets=options.get("assets", {}),
        onnx=options["onnx"],
        compile=options["compile"],
        like=None if like is None else like.manifest.recipe,
    )


def _check_installed(*, onnx: bool) -> None:
    from edge_aigc.packages import require_modules

    require_modules("Converting", ("tensorflow", "litert_quantizer", "ai_edge_litert"), extra="convert")
    if onnx:
        from edge_aigc.converters.onnx.form import require_packages

        require_packages()
