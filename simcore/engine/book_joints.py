"""The book venue's function table: play a symbol's events, take an arrival (see decision/joints.py)."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numba
from numba import types
from numba.experimental import structref

from simcore.domain.records import BOOK, EVENT, LADDER, REQUEST, STREAM
from simcore.engine.arrival import arrive_nb
from simcore.engine.book_play import play_exchange_nb
from simcore.engine.joints import VENUE_TYPE
from simcore.jit import COMPILING, Entry, TableType

STREAM_TYPE = numba.from_dtype(STREAM)
EVENTS = types.Array(numba.from_dtype(EVENT), 1, "C", readonly=True)
LOTS = types.Array(types.int64, 1, "C")
RESTING = types.Array(types.uint8, 1, "C")
BOOKS = types.Array(numba.from_dtype(BOOK), 1, "C")
LADDERS = types.Array(numba.from_dtype(LADDER), 1, "C")


class BookFunctions(NamedTuple):
    """What the loop asks of the exchange between two wakes."""

    play: Callable[..., Any]
    arrive: Callable[..., Any]


BOOK_FIELDS = (
    types.FunctionType(types.void(STREAM_TYPE, VENUE_TYPE, types.int64, types.int64, EVENTS, LOTS, RESTING, BOOKS, LADDERS)),
    types.FunctionType(types.void(STREAM_TYPE, VENUE_TYPE, numba.from_dtype(REQUEST), types.int64, LOTS, RESTING, BOOKS, LADDERS)),
)


@structref.register
class BookTableType(TableType):
    """The compiled type of the book venue's function table."""


class BookTable(structref.StructRefProxy):
    """The book venue's function table as compiled code holds it."""


structref.define_proxy(BookTable, BookTableType, list(BookFunctions._fields))
BOOK_TABLE = BookTableType(list(zip(BookFunctions._fields, BOOK_FIELDS, strict=True)))


def _make_book_table(play, arrive):
    return BookTable(play, arrive)


make_book_table = Entry(_make_book_table, BOOK_TABLE(*BOOK_FIELDS))


@cache
def book_functions() -> Any:
    """Return the book venue's function table."""
    functions = BookFunctions(play_exchange_nb, arrive_nb)
    return make_book_table(*functions) if COMPILING else functions
