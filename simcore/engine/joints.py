"""The venue's joints: its large parts, each compiled on its own behind a written signature (see decision/joints.py)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numba
from numba import types

from simcore.domain.records import BAR, FUNDING, REQUEST, VENUE
from simcore.engine.venue import check_margin_nb, match_bar_nb, on_request_nb, settle_funding_nb

VENUE_TYPE = numba.from_dtype(VENUE)


class VenueJoints(NamedTuple):
    """What the loop asks of the venue: match a bar, decide a request, settle funding, check margin."""

    match_bar: Callable[..., Any]
    on_request: Callable[..., Any]
    settle_funding: Callable[..., Any]
    check_margin: Callable[..., Any]


VENUE_JOINT_TYPES = (
    types.FunctionType(types.void(VENUE_TYPE, types.int64, numba.from_dtype(BAR))),
    types.FunctionType(types.void(VENUE_TYPE, numba.from_dtype(REQUEST))),
    types.FunctionType(types.void(VENUE_TYPE, types.int64, numba.from_dtype(FUNDING))),
    types.FunctionType(types.void(VENUE_TYPE, types.int64)),
)
VENUE_JOINTS = VenueJoints(match_bar_nb, on_request_nb, settle_funding_nb, check_margin_nb)
