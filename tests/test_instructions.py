"""`emulate --count`: instructions by operator, on the command line."""

from __future__ import annotations

import json

from edge_aigc.cli import run
from edge_aigc.cli.instructions import shown


def test_instructions_are_told_by_operator_on_this_machine(tiny, capsys):
    assert run(["emulate", str(tiny), "--profile", "host", "--count", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [operator["kind"] for operator in told["operators"]] == [
        "CONCATENATION",
        "FULLY_CONNECTED",
        "TANH",
        "RESHAPE",
    ]
    assert told["sum"] == told["around"] + sum(operator["instructions"] for operator in told["operators"])
    assert told["instructions"] > 0


def test_the_table_shows_shapes_shares_and_that_it_is_no_time():
    operators = [
        {"kind": "CONV_2D", "shape_in": [1, 8, 8, 4], "weights": [2, 3, 3, 4], "shape": [1, 8, 8, 2], "dtype": "INT8"},
        {"kind": "TANH", "shape_in": [1, 8], "weights": [], "shape": [1, 8], "dtype": "FLOAT32"},
    ]
    for operator, instructions in zip(operators, (7500, 500), strict=True):
        operator["instructions"] = instructions
    told = {"operators": operators, "around": 2000, "sum": 10000, "instructions": 9990, "counted_on": "a board"}
    lines = shown(told).splitlines()
    assert lines[1].split() == ["CONV_2D", "3x3", "1x8x8x4", ">", "1x8x8x2", "int8", "7,500", "75.0%"]
    assert lines[2].split() == ["TANH", "1x8", ">", "1x8", "float32", "500", "5.0%"]
    assert lines[-2].split() == ["counted", "as", "one", "9,990"]
    assert lines[-1].endswith("a count is not a time")
