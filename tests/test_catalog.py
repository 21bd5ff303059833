"""Profiles: one file each, found by name; every test here runs on every device."""

from __future__ import annotations

import msgspec
import pytest

from edge_aigc.devices.catalog import find_profile, profile_names
from edge_aigc.errors import ProfileError
from edge_aigc.profile import DeviceProfile, parse_profile

REQUIRED = {"name", "title", "target", "auto_recipes", "threads", "sources"}
"""Keys that are choices of ours or names; every other one is a fact and has a source."""


@pytest.mark.parametrize("name", profile_names())
def test_every_fact_of_a_profile_has_a_source(name):
    profile = find_profile(name)
    stated = {key for key, value in msgspec.structs.asdict(profile).items() if value not in (None, ())}
    unsourced = stated - REQUIRED - set(profile.sources) - {"notes", "recipes"}
    assert not unsourced
    assert set(profile.sources) <= set(DeviceProfile.__struct_fields__)


@pytest.mark.parametrize(("wrong", "right"), [("rpi", "rpi4"), ("coralusb", "coral-usb"), ("jetson-nano", "jetson")])
def test_an_unknown_name_gets_the_nearest(wrong, right):
    with pytest.raises(ProfileError, match="Did you mean") as caught:
        find_profile(wrong)
    assert right in caught.value.remedy


def test_a_name_like_no_other_gets_the_list():
    with pytest.raises(ProfileError, match="rpi4"):
        find_profile("toaster")


def test_a_name_cannot_leave_the_folder():
    with pytest.raises(ProfileError):
        find_profile("../profiles/rpi4")


MINIMAL = b"""
name = "x"
title = "X"
target = "xnnpack"
runtimes = ["litert"]
recipes = ["int8"]
auto_recipes = ["int8"]
[sources]
"""


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b'recipes = ["int8"]\n', b"", "recipes"),
        (b'target = "xnnpack"', b'target = "abacus"', "abacus"),
        (b'auto_recipes = ["int8"]', b'auto_recipes = ["float32"]', "not among its recipes"),
        (b"[sources]", b"ram = 1\n[sources]", "unknown field `ram`"),
        (b"[sources]", b"[sources", "cannot be read"),
    ],
)
def test_a_wrong_profile_is_refused_by_key(old, new, words):
    assert parse_profile(MINIMAL, origin="x.toml").threads == 1
    with pytest.raises(ProfileError) as caught:
        parse_profile(MINIMAL.replace(old, new, 1), origin="x.toml")
    assert words in str(caught.value)
