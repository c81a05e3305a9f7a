"""Instrument: the ticks, lots and filters of one symbol, and the one place where prices and quantities are rounded.

Rounding never enlarges an order and never makes it more aggressive: quantities go down, limit prices of buys down and of
sells up. Here decimals are rounded at the edge, exactly; `simcore.engine.rounding` does the same inside kernels.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from simcore.domain.enums import BUY
from simcore.domain.errors import DataError
from simcore.domain.records import MAX_BRACKETS

INT64_ROOM = 2**62
Number = str | int | float | Decimal


def decimal(value: Number) -> Decimal:
    """Return `value` as the decimal number a person would write: a float by its shortest form, so that 0.1 is a tenth."""
    return Decimal(repr(float(value)) if isinstance(value, float) else str(value))


def unit_e8(tick_size: Number, step_size: Number) -> int:
    """Return the value of one tick times one lot in 1e-8 quote units.

    >>> unit_e8("0.10", "0.001")
    10000
    """
    unit = decimal(tick_size) * decimal(step_size) * 10**8
    if unit < 1 or unit != unit.to_integral_value():
        raise DataError(
            f"tick size {tick_size} x step size {step_size} is {unit} of the ledger's 1e-8 units, not a whole number. "
            "The ledger cannot book this symbol exactly; leave it out."
        )
    return int(unit)


@dataclass(frozen=True)
class Instrument:
    """One symbol as the run counts it.

    `tick_size` and `step_size` are the run's own units; the exchange's filters may ask for several of them at once
    (`price_filter_ticks`, `lot_filter_lots`) while old data needs the finer grid.
    """

    symbol: str
    tick_size: Decimal
    step_size: Decimal
    price_filter_ticks: int = 1
    lot_filter_lots: int = 1

    @classmethod
    def of(cls, symbol: str, tick_size: Number, step_size: Number, **filters: int) -> Instrument:
        """Return an instrument from written sizes, or raise DataError for sizes that cannot be counted in.

        >>> btc = Instrument.of("BTCUSDT", "0.1", "0.001")
        >>> btc.price_to_ticks("103250.5"), btc.qty_to_lots(0.0159), btc.limit_ticks(BUY, 103250.57)
        (1032505, 15, 1032505)
        """
        made = cls(symbol, decimal(tick_size), decimal(step_size), **filters)
        if made.tick_size <= 0 or made.step_size <= 0:
            raise DataError(f"{symbol}: tick size {tick_size} and step size {step_size} must be positive.")
        if made.price_filter_ticks < 1 or made.lot_filter_lots < 1:
            raise DataError(f"{symbol}: price_filter_ticks and lot_filter_lots must be at least 1.")
        unit_e8(made.tick_size, made.step_size)
        return made

    @property
    def unit_e8(self) -> int:
        """Value of one tick times one lot in 1e-8 quote units."""
        return unit_e8(self.tick_size, self.step_size)

    def price_to_ticks(self, price: Number) -> int:
        """Return a quoted price in ticks; a price off the tick grid is a DataError, for it was not quoted in these ticks."""
        ticks, rest = self._divide(price, self.tick_size)
        if rest:
            raise DataError(f"{self.symbol}: price {price} is not a multiple of the tick {self.tick_size}.")
        return ticks

    def ticks_to_price(self, ticks: int) -> Decimal:
        """Return the price of so many ticks, exact."""
        return int(ticks) * self.tick_size

    def qty_to_lots(self, qty: Number) -> int:
        """Return a quantity in lots, cut down to the exchange's step: never more than asked for."""
        steps, _rest = self._divide(qty, self.step_size * self.lot_filter_lots)
        return steps * self.lot_filter_lots

    def lots_to_qty(self, lots: int) -> Decimal:
        """Return the quantity of so many lots in base units, exact."""
        return int(lots) * self.step_size

    def limit_ticks(self, side: int, price: Number) -> int:
        """Return a limit price in ticks on the exchange's grid, never more aggressive than `price`: BUY down, SELL up."""
        steps, rest = self._divide(price, self.tick_size * self.price_filter_ticks)
        if rest and side != BUY:
            steps += 1
        return steps * self.price_filter_ticks

    def _divide(self, value: Number, step: Decimal) -> tuple[int, Decimal]:
        """Return how many whole steps a value holds and what is left, exact."""
        try:
            whole, rest = divmod(decimal(value), step)
        except ArithmeticError as trouble:
            raise DataError(f"{self.symbol}: {value!r} is not a number of steps of {step}; write a plain decimal.") from trouble
        if not whole.is_finite() or whole < 0 or rest < 0:
            raise DataError(f"{self.symbol}: {value} is neither a price nor a quantity; both are finite and not negative.")
        return int(whole), rest

    def notional(self, lots: int, ticks: int) -> Decimal:
        """Return the value of `lots` at `ticks` in quote units, exact."""
        return int(lots) * int(ticks) * self.step_size * self.tick_size

    def check_headroom(self, max_qty_lots: int, max_price_ticks: int) -> int:
        """Return how many of the largest orders fit the 64-bit ledger at once, or raise DataError when not even one does.

        Use the filters' largest quantity and the highest price of the run.
        """
        largest = int(max_qty_lots) * int(max_price_ticks) * self.unit_e8
        if largest > INT64_ROOM:
            raise DataError(
                f"{self.symbol}: {max_qty_lots} lots at {max_price_ticks} ticks are worth {largest} units of 1e-8, "
                f"more than the ledger's {INT64_ROOM}. Lower the largest quantity or leave the symbol out."
            )
        return INT64_ROOM // max(1, largest)


def write_brackets(row: Any, symbol: str, brackets: Iterable[Mapping[str, Any]]) -> None:
    """Write an exchange bracket table into an INSTRUMENT record, or raise DataError when the table is not one.

    `brackets` are rows with notionalFloor, maintMarginRatio, cum and initialLeverage, as the exchange's leverageBracket
    answer has them. Floors and rates must rise and the maintenance must not jump, for the margin kernels rely on it.
    """
    table = sorted(brackets, key=lambda entry: float(entry["notionalFloor"]))
    if not 0 < len(table) <= MAX_BRACKETS:
        raise DataError(f"{symbol}: {len(table)} leverage brackets; between 1 and {MAX_BRACKETS} fit.")
    previous_floor, previous_mmr, cum = Decimal(-1), Decimal(0), Decimal(0)
    for index, entry in enumerate(table):
        floor, mmr = decimal(entry["notionalFloor"]), decimal(entry["maintMarginRatio"])
        if not (previous_floor < floor and previous_mmr < mmr < 1) or (index == 0 and floor != 0):
            raise DataError(f"{symbol}: bracket {index + 1} (floor {floor}, rate {mmr}) does not continue the one before.")
        cum += floor * (mmr - previous_mmr)
        if abs(cum - decimal(entry["cum"])) > Decimal("0.01"):
            raise DataError(f"{symbol}: bracket {index + 1} has cum {entry['cum']}, but maintenance is continuous at {cum}.")
        row["bracket_floor"][index] = float(floor)
        row["bracket_mmr"][index] = float(mmr)
        row["bracket_cum"][index] = float(entry["cum"])
        row["bracket_leverage"][index] = float(entry["initialLeverage"])
        previous_floor, previous_mmr = floor, mmr
    row["n_brackets"] = len(table)
