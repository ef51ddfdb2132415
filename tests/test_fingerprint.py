"""Settings are spelled, hashed and compared in one way."""

import hashlib
import math
from pathlib import Path

import numpy as np
import pytest

from burgerslab.data.fingerprint import ABSENT, canonical, differences, fingerprint


def test_canonical_spelling_by_hand():
    settings = {"b": (1, 2.5, None), "a": {"on": True, "name": "ν"}}
    assert canonical(settings) == '{"a":{"name":"\\u03bd","on":true},"b":[1,2.5,null]}'


def test_fingerprint_is_the_hash_of_schema_and_settings():
    text = b'{"schema":1,"settings":{"dt":0.1}}'
    assert fingerprint({"dt": 0.1}) == hashlib.sha256(text).hexdigest()


@pytest.mark.parametrize(
    "same",
    [
        {"seed": 3, "extent": [1.0, 2.0], "periodic": True, "scheme": {"order": 6, "name": "fd"}},
        {"scheme": {"name": "fd", "order": 6}, "periodic": True, "extent": (1.0, 2.0), "seed": 3},
        {
            "seed": np.int64(3),
            "extent": (np.float64(1.0), np.float32(2.0)),
            "periodic": np.bool_(True),
            "scheme": {"order": np.uint8(6), "name": np.str_("fd")},
        },
    ],
)
def test_order_sequence_type_and_numpy_scalars_do_not_change_the_hash(same):
    plain = {"seed": 3, "extent": [1.0, 2.0], "periodic": True, "scheme": {"order": 6, "name": "fd"}}
    assert fingerprint(same) == fingerprint(plain)
    assert differences(same, plain) == []


def test_negative_zero_is_zero():
    assert fingerprint({"shift": -0.0}) == fingerprint({"shift": 0.0})


@pytest.mark.parametrize("other", [{"n": 100.0}, {"n": True}, {"n": "100"}, {"n": 101}, {"n": [100]}, {"m": 100}, {}])
def test_other_settings_have_another_hash(other):
    assert fingerprint(other) != fingerprint({"n": 100})
    assert len(differences({"n": 100}, other)) >= 1


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (math.nan, r"settings\.scheme\.1 is nan; only finite numbers"),
        (-math.inf, r"settings\.scheme\.1 is -inf; only finite numbers"),
        (np.float32("nan"), r"settings\.scheme\.1 is nan"),
        (np.arange(3), r"settings\.scheme\.1 is of type ndarray, .* \.tolist\(\)"),
        (print, r"settings\.scheme\.1 is of type builtin_function_or_method, which has no single spelling"),
        (Path("a"), r"settings\.scheme\.1 is of type \w*Path, .* str\(\)"),
        ({1, 2}, r"settings\.scheme\.1 is of type set"),
        (1j, r"settings\.scheme\.1 is of type complex"),
        (b"x", r"settings\.scheme\.1 is of type bytes"),
        ({3: 1}, r"settings\.scheme\.1 has the key 3; every key"),
    ],
)
def test_what_has_no_single_spelling_is_refused_with_its_key(value, message):
    with pytest.raises(ValueError, match=message):
        fingerprint({"scheme": [1, value]})


def test_differences_name_dotted_keys_with_both_values():
    stored = {"domain": {"extent": [1.0, 1.0], "cells": 64}, "seed": 1, "steps": [1, 2], "old": 5}
    wanted = {"domain": {"extent": [1.0, 2.0], "cells": 64}, "seed": True, "steps": [1, 2, 3], "new": None}
    assert differences(stored, wanted) == [
        ("domain.extent.1", 1.0, 2.0),
        ("new", ABSENT, None),
        ("old", 5, ABSENT),
        ("seed", 1, True),
        ("steps", [1, 2], [1, 2, 3]),
    ]
    assert repr(ABSENT) == "(not set)"
