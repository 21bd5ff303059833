"""Nets of operators of all families together, cut once and once more."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests import test_prune_groups_elementwise as elementwise
from tests import test_prune_groups_moves as moves
from tests import test_prune_groups_norms as norms
from tests import test_prune_groups_parts as parts
from tests import test_prune_groups_products as products
from tests.pruning import CASES, assert_cut_is_zeroed, chained, cuttable, random_masks

MENU = {
    f"{family.__name__.rpartition('_')[2]}: {name}": step
    for family in (elementwise, moves, norms, parts, products)
    for name, step in family.MENU.items()
}
_MOST = 20_000
"""Elements of a value, so that the interpreter stays quick."""


@CASES
@given(steps=st.lists(st.sampled_from(sorted(MENU)), min_size=2, max_size=7), seed=st.integers(0, 99999))
def test_what_is_cut_from_any_net_equals_what_is_zeroed_and_can_be_cut_again(steps, seed):
    graph = chained(steps, MENU, seed, shape=(1, 2, 4, 3), most=_MOST)
    rng = np.random.default_rng(seed)
    smaller = assert_cut_is_zeroed(graph, random_masks(graph, rng))
    if cuttable(smaller):
        assert_cut_is_zeroed(smaller, random_masks(smaller, rng))
