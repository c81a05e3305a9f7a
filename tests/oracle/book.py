"""The book twin: two dicts of price to quantity, whose best prices are looked up anew each time."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class DictBook:
    """A book in ticks and lots; side 0 is the bid, 1 the ask."""

    sides: tuple[dict[int, int], dict[int, int]] = field(default_factory=lambda: ({}, {}))
    ok: bool = False
    gaps: int = 0
    buy_lots: int = 0
    sell_lots: int = 0
    trades: int = 0

    def depth(self, side: int, ticks: int, lots: int) -> None:
        """Set what a price displays."""
        self.sides[side].pop(ticks, None)
        if lots > 0:
            self.sides[side][ticks] = lots

    def clear(self) -> None:
        """Forget everything displayed."""
        self.ok = False
        for side in self.sides:
            side.clear()

    def prices(self, side: int) -> list[int]:
        """Return the prices of one side, best first."""
        return sorted(self.sides[side], reverse=side == 0)

    def best(self) -> tuple[int, int]:
        """Return (best bid, best ask), 0 where there is none."""
        bids, asks = self.prices(0), self.prices(1)
        return (bids[0] if bids else 0), (asks[0] if asks else 0)

    def touch(self) -> tuple:
        """Return what a strategy on the touch looks at: both best prices with their quantities."""
        return tuple((ticks, side.get(ticks, 0)) for ticks, side in zip(self.best(), self.sides, strict=True))

    def depth_sum(self, side: int, n: int) -> int:
        """Return what the first `n` prices of one side display."""
        return sum(self.sides[side][ticks] for ticks in self.prices(side)[:n])
