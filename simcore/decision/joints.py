"""The core's function table: its large parts and the run's strategies, each compiled on its own behind a written signature.

A kernel that is called directly is optimised again inside every caller. Behind a function-typed joint it is compiled once,
an edit elsewhere leaves it alone, and two processes can compile two joints side by side. A call through one costs about
4 ns; records pass by pointer. The table is made once a run: handing 20 functions to a kernel one by one costs a
millisecond a call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numba
from numba import types
from numba.experimental import structref

from simcore.decision.pipeline import consider_nb, end_trade_nb, flatten_nb
from simcore.decision.quoter import quote_nb
from simcore.decision.reports import on_report_nb
from simcore.decision.router import work_routes_nb
from simcore.domain.records import CORE, MAX_STRATEGIES, REPORT
from simcore.jit import COMPILING, Entry, TableType, kernel
from simcore.strategy.abi import BAR_FUNCTION, CROSS_FUNCTION

CORE_TYPE = numba.from_dtype(CORE)


class CoreFunctions(NamedTuple):
    """What the core's loop calls: strategies; a report arrived, a wish changed, a trade must end, routes move on, all must go.

    `quote` keeps two-sided quotes on order books; in a run without a quoting strategy it does nothing.
    """

    bar: tuple[Callable[..., Any], ...]
    cross: tuple[Callable[..., Any], ...]
    on_report: Callable[..., Any]
    consider: Callable[..., Any]
    end_trade: Callable[..., Any]
    work_routes: Callable[..., Any]
    flatten: Callable[..., Any]
    quote: Callable[..., Any]


CORE_FIELDS = (
    types.UniTuple(BAR_FUNCTION, MAX_STRATEGIES),
    types.UniTuple(CROSS_FUNCTION, MAX_STRATEGIES),
    types.FunctionType(types.void(CORE_TYPE, numba.from_dtype(REPORT))),
    types.FunctionType(types.void(CORE_TYPE, types.int64, types.int64)),
    types.FunctionType(types.void(CORE_TYPE, types.int64, types.int64, types.int64, types.float64)),
    types.FunctionType(types.void(CORE_TYPE)),
    types.FunctionType(types.void(CORE_TYPE)),
    types.FunctionType(types.void(CORE_TYPE)),
)


@structref.register
class CoreTableType(TableType):
    """The compiled type of the core's function table."""


class CoreTable(structref.StructRefProxy):
    """The core's function table as compiled code holds it."""


structref.define_proxy(CoreTable, CoreTableType, list(CoreFunctions._fields))
CORE_TABLE = CoreTableType(list(zip(CoreFunctions._fields, CORE_FIELDS, strict=True)))


def _make_core_table(bar, cross, on_report, consider, end_trade, work_routes, flatten, quote):
    return CoreTable(bar, cross, on_report, consider, end_trade, work_routes, flatten, quote)


make_core_table = Entry(_make_core_table, CORE_TABLE(*CORE_FIELDS))


@kernel
def no_quotes_nb(core):
    """Keep no quotes: no strategy of the run states any."""


def core_functions(bar: tuple[Any, ...], cross: tuple[Any, ...], quoting: bool = False) -> Any:
    """Return the function table of a run; `bar` and `cross` hold MAX_STRATEGIES compiled strategies (or no-ops) each."""
    quote = quote_nb if quoting else no_quotes_nb
    functions = CoreFunctions(bar, cross, on_report_nb, consider_nb, end_trade_nb, work_routes_nb, flatten_nb, quote)
    return make_core_table(*functions) if COMPILING else functions
