"""What a result stands on, part by part: source, config, policy, strategies, data and fill model, each hashed from what is there now.

Parts are fine enough that a change can be named: a source file, a config key, a strategy, the month of a symbol's bars.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from simcore.validation.provenance import PACKAGE, deciding_files, fill_model_hash

if TYPE_CHECKING:
    from replay_data.feed import Feed
    from simcore.config import Config
    from simcore.strategy import Strategy

KINDS = ("source", "config", "policy", "strategy", "data", "fill_model")
Parts = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Mismatch:
    """One thing that is not what was certified: its kind, and what is the matter, in words."""

    kind: str
    message: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"


def canonical(value: Any) -> bytes:
    """Return plain values as the bytes that are hashed and signed: sorted keys, no blanks, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False).encode()


def hash_of(value: Any) -> str:
    """Return the sha256 of plain values in canonical form."""
    return hashlib.sha256(canonical(value)).hexdigest()


def standing(
    config: Config,
    feed: Feed,
    policies: Mapping[str, Any] | None = None,
    strategies: Sequence[Strategy] | None = None,
    package: Path = PACKAGE,
) -> Parts:
    """Return the parts of each kind as plain values, from the files and rows as they are now.

    policies: learned policies as plain values. strategies: objects that stand for registered ones.
    """
    return {
        "source": source_parts(package),
        "config": config.canonical(),
        "policy": {"v6_policies.json": None if policies is None else hash_of(policies)},
        "strategy": strategy_parts(config, strategies),
        "data": data_parts(feed),
        "fill_model": {"settings and fees of the simulated venue": fill_model_hash(config)},
    }


def hashes_of(parts: Mapping[str, Any]) -> dict[str, str]:
    """Return one hash a kind."""
    return {kind: hash_of(parts[kind]) for kind in KINDS}


def source_parts(package: Path = PACKAGE) -> dict[str, str]:
    """Return the hash of each source file that can change a decision or a fill."""
    return {
        path.relative_to(package.parent).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in deciding_files(package)
    }


def strategy_parts(config: Config, strategies: Sequence[Strategy] | None = None) -> dict[str, str]:
    """Return the hash of each strategy's sources, helpers included."""
    if strategies:
        return {each.name: each.source_hash for each in strategies}
    from simcore.strategy import load_strategy

    search = [config.folder.parent]
    return {entry.name: load_strategy(entry.module, entry.name, search).source_hash for entry in config.enabled_strategies}


def data_parts(feed: Feed) -> dict[str, str]:
    """Return the hash of each symbol's rows: bars by month, marks, funding, filters and contract, read row by row."""
    parts = {}
    for at, symbol in enumerate(feed.symbols):
        first, end = (int(row) for row in feed.bar_range[at])
        for month, rows in by_month(feed.bars[first:end]):
            parts[f"{symbol} bars of {month}"] = rows_hash(rows)
        for name, rows, ranges in (
            ("marks", feed.marks, feed.mark_range),
            ("funding", feed.funding, feed.funding_range),
            ("filters", feed.filters, feed.filter_range),
        ):
            low, high = ranges[at]
            parts[f"{symbol} {name}"] = rows_hash(rows[low:high])
        parts[f"{symbol} contract"] = rows_hash(feed.instruments[at : at + 1])
    return parts


def by_month(bars: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Yield each calendar month (UTC) and its bars."""
    months = bars["open_ns"].astype("datetime64[ns]").astype("datetime64[M]")
    cuts = [0, *(np.flatnonzero(months[1:] != months[:-1]) + 1).tolist(), len(bars)]
    for begin, end in zip(cuts[:-1], cuts[1:], strict=True):
        if end > begin:
            yield str(months[begin]), bars[begin:end]


def rows_hash(rows: np.ndarray) -> str:
    """Return the sha256 over the bytes of rows."""
    return hashlib.sha256(np.ascontiguousarray(rows).view(np.uint8).data).hexdigest() if len(rows) else ""


# ------------------------------------------------------------ comparing

SAID = {
    "source": "simcore's source is not the certified one: {}. Restore it, or validate and promote again.",
    "config": "the configuration is not the certified one: {}. Restore it, or validate and promote again.",
    "policy": "the learned policies are not the certified ones: {}. Restore the file, or validate and promote again.",
    "strategy": "the strategy is not the certified one: {}. Restore its file, or validate and promote again.",
    "data": "the market data is not what was validated on: {}. Import it anew, or validate and promote again.",
    "fill_model": "the simulated venue is not the certified one: {}. Restore its settings and fees, or validate and promote again.",
}
MOST_NAMED = 5


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[Mismatch]:
    """Return what is not what it was, one mismatch a kind, each naming the parts."""
    found = []
    for kind in KINDS:
        if then[kind] != now[kind]:
            names = list(changes(then[kind], now[kind]))
            rest = len(names) - MOST_NAMED
            told = "; ".join(names[:MOST_NAMED]) + (f"; and {rest} more" if rest > 0 else "")
            found.append(Mismatch(kind, SAID[kind].format(told)))
    return found


def changes(then: Any, now: Any, place: str = "") -> Iterator[str]:
    """Yield what differs between two trees of plain values, in words; hashes are not spelled out."""
    if isinstance(then, Mapping) and isinstance(now, Mapping):
        for key in sorted({*then, *now}):
            where = f"{place}.{key}" if place else key
            if key not in now:
                yield f"{where} is gone"
            elif key not in then:
                yield f"{where} is new"
            else:
                yield from changes(then[key], now[key], where)
    elif then != now:
        hashed = any(isinstance(each, str) and len(each) == 64 for each in (then, now))
        yield f"{place} has changed" if hashed else f"{place} is {shown(now)}, was {shown(then)}"


def shown(value: Any) -> str:
    """Return a value as a message quotes it."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."
