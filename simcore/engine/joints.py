"""The venue's function table: its large parts, each compiled on its own behind a written signature (see decision/joints.py)."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numba
from numba import types
from numba.experimental import structref

from simcore.domain.records import BAR, FUNDING, REQUEST, VENUE
from simcore.engine.matching import match_bar_nb
from simcore.engine.takeover import check_margin_nb
from simcore.engine.venue import on_request_nb, settle_funding_nb
from simcore.jit import COMPILING, Entry, TableType, kernel

VENUE_TYPE = numba.from_dtype(VENUE)


class VenueFunctions(NamedTuple):
    """What the loop asks of the venue: match a bar, decide a request, settle funding, check margin."""

    match_bar: Callable[..., Any]
    on_request: Callable[..., Any]
    settle_funding: Callable[..., Any]
    check_margin: Callable[..., Any]


VENUE_FIELDS = (
    types.FunctionType(types.void(VENUE_TYPE, types.int64, numba.from_dtype(BAR))),
    types.FunctionType(types.void(VENUE_TYPE, numba.from_dtype(REQUEST))),
    types.FunctionType(types.void(VENUE_TYPE, types.int64, numba.from_dtype(FUNDING))),
    types.FunctionType(types.void(VENUE_TYPE, types.int64)),
)


@structref.register
class VenueTableType(TableType):
    """The compiled type of the venue's function table."""


class VenueTable(structref.StructRefProxy):
    """The venue's function table as compiled code holds it."""


structref.define_proxy(VenueTable, VenueTableType, list(VenueFunctions._fields))
VENUE_TABLE = VenueTableType(list(zip(VenueFunctions._fields, VENUE_FIELDS, strict=True)))


def _make_venue_table(match_bar, on_request, settle_funding, check_margin):
    return VenueTable(match_bar, on_request, settle_funding, check_margin)


make_venue_table = Entry(_make_venue_table, VENUE_TABLE(*VENUE_FIELDS))


@kernel
def no_match_nb(venue, symbol, bar):
    """Match no bar: on order books events fill orders."""


@kernel
def no_request_nb(venue, request):
    """Take no request: on order books they come by the wire."""


@cache
def venue_functions(on_books: bool = False) -> Any:
    """Return the venue's function table; on order books what matches bars is left out, and not compiled."""
    match, take = (no_match_nb, no_request_nb) if on_books else (match_bar_nb, on_request_nb)
    functions = VenueFunctions(match, take, settle_funding_nb, check_margin_nb)
    return make_venue_table(*functions) if COMPILING else functions
