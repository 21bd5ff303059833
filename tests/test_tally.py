"""The sum over operators is the whole, checked on this machine's own architecture under QEMU."""

from __future__ import annotations

import pytest
from bundles import DATA
from test_singles import RECIPES, chain, in_recipe

from edge_aigc.converters.costs.tally import Border, border_of, tally
from edge_aigc.devices.catalog import find_profile
from edge_aigc.devices.emulate.counting import EmulatedCounter

NOISE = 100
TINY = (DATA / "tiny.tflite").read_bytes()


@pytest.fixture(scope="module")
def counter(tmp_path_factory):
    """One that remembers nothing of earlier runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGE_AIGC_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield EmulatedCounter(find_profile("host"))


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_operators_add_up_to_the_whole(counter, recipe):
    tallied = tally(in_recipe(TINY, recipe), counter, whole=True)
    assert tallied.whole is not None
    # So small a net is mostly noise: where buffers happen to lie decides how memcpy begins.
    assert abs(tallied.instructions - tallied.whole) <= NOISE * len(tallied.operators)


def test_equal_operators_cost_the_same_and_a_larger_one_more(counter):
    small, large = (tally(chain("TANH", "TANH", elements=n), counter).operators for n in (256, 4096))
    assert small[0].instructions == small[1].instructions
    assert 10 < large[0].instructions / small[0].instructions < 17


def test_the_whole_is_counted_only_where_it_is_asked_for(counter):
    assert tally(chain("NEG"), counter).whole is None


def test_a_border_is_the_line_through_its_chains():
    true = Border(entry=4000, per_input=0.75, per_output=0.5)
    counts = {
        f"border {kind} {n} {length}": true.instructions([n] * sides, [n]) + length * (100 + n // 2)
        for kind, sides in (("NEG", 1), ("MAXIMUM", 2))
        for n in (1024, 8192)
        for length in (1, 2)
    }
    found = border_of(counts)
    assert found == true
    assert found.converts
    assert not Border(entry=4000, per_input=0.01, per_output=-0.01).converts
