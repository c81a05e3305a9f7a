"""Recordings and tick files of a small market, written as collectors and archives write them."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path

START_MS = 1_700_000_040_000
LATE_NS = 3_000_000


class Market:
    """A book that changes at random: depth messages with their ids, trades, tickers, and the REST snapshot in between.

    `lines` are (local ns, message) in order of receipt; `messages` the depth messages alone.
    """

    def __init__(self, seed: int = 1, steps: int = 60, symbol: str = "BTCUSDT", spot: bool = False, snapshot_at: int = 3) -> None:
        self.random = random.Random(seed)
        self.symbol, self.spot = symbol, spot
        self.books = {1: {}, -1: {}}
        self.u, self.trade_id, self.now = 1000, 500, START_MS
        self.lines: list[tuple[int, dict]] = []
        for distance in range(1, 30):
            for side in (1, -1):
                self.books[side][10_000 - side * distance] = self.random.randint(1, 999)
        for step in range(steps):
            self.step()
            if step == snapshot_at:
                self.add(self.snapshot())

    def add(self, message: dict) -> None:
        self.lines.append((self.now * 10**6 + LATE_NS, message))

    def step(self) -> None:
        self.now += self.random.randint(20, 90)
        if self.random.random() < 0.4:
            self.trade()
        levels: dict[int, dict[int, int]] = {1: {}, -1: {}}
        for _ in range(self.random.randint(1, 5)):
            side = self.random.choice((1, -1))
            edge = max(self.books[1]) if side == -1 else min(self.books[-1])
            price = edge - side * self.random.randint(1, 30)
            lots = self.random.choice((0, self.random.randint(1, 999)))
            others = [other for other in self.books[side] if other != price]
            if lots or others:
                levels[side][price] = lots
                self.books[side].pop(price, None)
                if lots:
                    self.books[side][price] = lots
        first = self.u + 1 if self.spot else self.u + self.random.randint(1, 3)
        last = first + self.random.randint(0, 4)
        data = {"e": "depthUpdate", "E": self.now + 1, "s": self.symbol, "U": first, "u": last, "pu": self.u, "T": self.now}
        if self.spot:
            del data["pu"], data["T"]
        data |= {name: [[self.price(p), self.qty(q)] for p, q in levels[side].items()] for name, side in (("b", 1), ("a", -1))}
        self.u = last
        self.add({"stream": f"{self.symbol.lower()}@depth@100ms", "data": data})
        self.ticker()

    def trade(self) -> None:
        side = self.random.choice((1, -1))
        price = min(self.books[-1]) if side == 1 else max(self.books[1])
        self.trade_id += 1
        data = {"e": "trade", "E": self.now, "T": self.now, "s": self.symbol, "t": self.trade_id, "p": self.price(price)}
        data |= {"q": self.qty(self.random.randint(1, 99)), "X": "MARKET", "m": side == -1}
        self.add({"stream": f"{self.symbol.lower()}@trade", "data": data})

    def ticker(self) -> None:
        bid, ask = max(self.books[1]), min(self.books[-1])
        data = {"e": "bookTicker", "u": self.u, "s": self.symbol, "b": self.price(bid), "B": self.qty(self.books[1][bid])}
        data |= {"a": self.price(ask), "A": self.qty(self.books[-1][ask]), "T": self.now, "E": self.now}
        if self.spot:
            del data["T"], data["E"], data["e"]
        self.add({"stream": f"{self.symbol.lower()}@bookTicker", "data": data})

    def snapshot(self) -> dict:
        sides = {name: sorted(self.books[side].items(), reverse=side == 1) for name, side in (("bids", 1), ("asks", -1))}
        answer = {"lastUpdateId": self.u} if self.spot else {"lastUpdateId": self.u, "E": self.now, "T": self.now}
        return answer | {name: [[self.price(p), self.qty(q)] for p, q in levels] for name, levels in sides.items()}

    def depth_lines(self) -> list[int]:
        """Return which of the lines are depth changes."""
        return [at for at, (_local, message) in enumerate(self.lines) if "@depth" in message.get("stream", "")]

    @staticmethod
    def price(ticks: int) -> str:
        return f"{ticks / 10:.2f}"

    @staticmethod
    def qty(lots: int) -> str:
        return f"{lots / 1000:.3f}"


def text_of(lines: list[tuple[int, dict]], unit_ns: int = 1) -> list[str]:
    return [f"{local // unit_ns} {json.dumps(message, separators=(',', ':'))}" for local, message in lines]


def write_lines(folder: Path, lines: list[str], name: str = "BTCUSDT-20231114/raw.jsonl.gz", cut: int = 0) -> Path:
    """Write a recording's lines, the last `cut` bytes of the packed file left out."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    data = ("\n".join(lines) + "\n").encode()
    packed = gzip.compress(data, mtime=0) if name.endswith(".gz") else data
    path.write_bytes(packed[: len(packed) - cut])
    return path
