"""The core's joints: its large parts, each compiled on its own behind a written signature.

A kernel that is called directly is optimised again inside every caller. Behind a function-typed joint it is compiled once,
an edit elsewhere leaves it alone, and two processes can compile two joints side by side. A call through one costs about
4 ns; records pass by pointer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numba
from numba import types

from simcore.decision.pipeline import consider_nb, flatten_nb, start_exit_nb
from simcore.decision.reports import on_report_nb
from simcore.decision.router import work_routes_nb
from simcore.domain.records import CORE, REPORT

CORE_TYPE = numba.from_dtype(CORE)


class CoreJoints(NamedTuple):
    """What the core's loop calls: a report arrived, a wish changed, a trade must end, routes move on, everything must go."""

    on_report: Callable[..., Any]
    consider: Callable[..., Any]
    end_trade: Callable[..., Any]
    work_routes: Callable[..., Any]
    flatten: Callable[..., Any]


CORE_JOINT_TYPES = (
    types.FunctionType(types.void(CORE_TYPE, numba.from_dtype(REPORT))),
    types.FunctionType(types.void(CORE_TYPE, types.int64, types.int64)),
    types.FunctionType(types.void(CORE_TYPE, types.int64, types.int64, types.int64, types.float64)),
    types.FunctionType(types.void(CORE_TYPE)),
    types.FunctionType(types.void(CORE_TYPE)),
)
CORE_JOINTS = CoreJoints(on_report_nb, consider_nb, start_exit_nb, work_routes_nb, flatten_nb)
