"""The router's key figures, by symbol and by the UTC hour in which an order was sent: fills, refusals, waits, costs, markouts.

Every figure comes with the number of observations it stands on (`n_` and its name), and a figure without any is NaN with n = 0,
never absent and never zero. Definitions: `definitions.KPIS`. What happened is dated at the exchange, what we sent at our own clock.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from simcore.domain.enums import LedgerKind, Purpose, RejectCode, TimeInForce
from simcore.domain.errors import InvariantError
from simcore.report.definitions import KPIS
from simcore.report.frames import gather_last, gather_sum
from simcore.report.markout import effective_spread_bps, markout_bps, realised_spread_bps
from simcore.report.mids import touches_at
from simcore.report.tables import HOURS, SECOND_NS
from simcore.series import NAN

if TYPE_CHECKING:
    from replay_data.feed import Feed
    from simcore.replay import Recording

HORIZONS_S = (1, 5, 30)
SPREAD_HORIZON_S = 5
MS_NS = 1_000_000
WHOLE = "all"
GROUPS = HOURS + 1  # the hours of a symbol, and all of them
NEEDED = {
    "ledger": ("ts_ns", "exch_ns", "kind", "code", "symbol", "order_id", "side", "qty_lots", "price_ticks", "x0"),
    "routes": ("symbol", "started_ns", "maker_lots", "taker_lots", "maker_orders", "fallback", "requotes", "slippage_bps"),
}


class Sample(NamedTuple):
    """Observations of one figure: whose, in which hour, and what was seen; NaN where it was not."""

    symbol: np.ndarray
    hour: np.ndarray
    value: np.ndarray


class Fills(NamedTuple):
    """The fills of a run with what the market was and became: mids in quote units, `later` float64[fills, horizons]."""

    symbol: np.ndarray
    hour: np.ndarray
    side: np.ndarray
    price: np.ndarray
    notional: np.ndarray
    maker: np.ndarray
    mid: np.ndarray
    later: np.ndarray


def kpis_of(recording: Recording, market: Feed | None = None) -> dict[str, dict[str, dict[str, Any]]]:
    """Return {symbol: {"all": figures, "00".."23": figures of the hours that have any}}.

    market: the feed whose mids the fills are held against; without it, the run's own. Raises InvariantError when the recording
    lacks a field that a figure needs: nobody shall take it for zero.
    """
    check_fields(recording)
    feed = recording.feed
    table = columns_of(samples_of(recording, market), len(feed.symbols) * GROUPS)
    rows: dict[str, dict[str, dict[str, Any]]] = {}
    seen = np.zeros(len(feed.symbols) * GROUPS, dtype=bool)
    for key, column in table.items():
        if key.startswith("n_"):
            seen |= column > 0
    for symbol, name in enumerate(feed.symbols):
        places = {WHOLE: symbol * GROUPS + HOURS} | {f"{hour:02d}": symbol * GROUPS + hour for hour in range(HOURS)}
        wanted = {label: place for label, place in places.items() if label == WHOLE or seen[place]}
        rows[name] = {label: {key: column[place].item() for key, column in table.items()} for label, place in wanted.items()}
    return rows


def check_fields(recording: Recording) -> None:
    """Raise InvariantError unless ledger and routes carry every field the figures are made of."""
    for table, names in NEEDED.items():
        missing = [name for name in names if name not in (getattr(recording, table).dtype.names or ())]
        if missing:
            raise InvariantError(f"the recording's {table} lack {', '.join(missing)}: the router's figures cannot be made without.")


def figures_of(recording: Recording, market: Feed | None = None) -> dict[str, Any]:
    """Return the same figures over all symbols and hours together."""
    check_fields(recording)
    together = {key: Sample(np.zeros_like(one.symbol), one.hour, one.value) for key, one in samples_of(recording, market).items()}
    return {key: column[HOURS].item() for key, column in columns_of(together, GROUPS).items()}


def samples_of(recording: Recording, market: Feed | None) -> dict[str, Sample]:
    """Return the observations of every figure."""
    return {**order_samples(recording), **parent_samples(recording), **fill_samples(recording, market)}


def columns_of(samples: dict[str, Sample], size: int) -> dict[str, np.ndarray]:
    """Return each figure and its n as columns of `size` groups, `GROUPS` a symbol."""
    columns: dict[str, np.ndarray] = {}
    for kpi in KPIS:
        columns[kpi.key], columns[f"n_{kpi.key}"] = REDUCED[kpi.of](samples[kpi.key], size)
    return columns


# ------------------------------------------------------------ observations


def order_samples(recording: Recording) -> dict[str, Sample]:
    """Return what became of the orders sent: filled, refused, how soon, and how soon we heard of them."""
    ledger = recording.ledger
    sent = ledger[ledger["kind"] == LedgerKind.REQUEST]
    ids = sent["order_id"]
    fills = ledger[ledger["kind"] == LedgerKind.FILL]
    ends = ledger[np.isin(ledger["kind"], (LedgerKind.REJECTED, LedgerKind.CANCELED, LedgerKind.EXPIRED))]
    answers = ledger[np.isin(ledger["kind"], (LedgerKind.ACCEPTED, LedgerKind.REJECTED))][::-1]
    lots = gather_sum(ids, fills["order_id"], fills["qty_lots"])
    end_kind, end_code = (gather_last(ids, ends["order_id"], ends[name]) for name in ("kind", "code"))
    first_fill_ns = gather_last(ids, fills["order_id"][::-1], fills["exch_ns"][::-1])
    answered_ns = gather_last(ids, answers["order_id"], answers["ts_ns"])
    refused = end_kind == LedgerKind.REJECTED
    passive = sent["x0"] == TimeInForce.GTX
    settled = passive & ((lots >= sent["qty_lots"]) | (end_kind > 0))

    def of(value: np.ndarray, where: np.ndarray) -> Sample:
        return Sample(sent["symbol"], hour_of(sent["ts_ns"]), np.where(where, value, NAN))

    wait_s = (first_fill_ns - sent["ts_ns"]) / SECOND_NS
    return {
        "maker_fill_rate": of(lots > 0, settled),
        "maker_filled_share": of(np.minimum(lots / np.maximum(sent["qty_lots"], 1), 1.0), settled),
        "reject_rate": of(refused & (end_code == RejectCode.POST_ONLY), settled),
        "rejects": of(refused, np.ones(len(sent), bool)),
        "time_to_fill_s": of(wait_s, passive & (lots > 0)),
        "time_to_fill_mean_s": of(wait_s, passive & (lots > 0)),
        "latency_ms": of((answered_ns - sent["ts_ns"]) / MS_NS, answered_ns > 0),
        "latency_mean_ms": of((answered_ns - sent["ts_ns"]) / MS_NS, answered_ns > 0),
    }


def parent_samples(recording: Recording) -> dict[str, Sample]:
    """Return how parent orders went: slippage against the price at the decision, fallbacks to taker, quotes renewed."""
    routes = recording.routes
    tried = routes["maker_orders"] > 0

    def of(value: np.ndarray, where: np.ndarray) -> Sample:
        return Sample(routes["symbol"], hour_of(routes["started_ns"]), np.where(where, value, NAN))

    return {
        "slippage_bps": of(routes["slippage_bps"], routes["maker_lots"] + routes["taker_lots"] > 0),
        "fallback_share": of(routes["fallback"] > 0, tried),
        "requotes": of(routes["requotes"], tried),
    }


def fill_samples(recording: Recording, market: Feed | None) -> dict[str, Sample]:
    """Return spreads paid and markouts of the fills, makers and takers apart."""
    fills = fills_of(recording, market)
    effective = effective_spread_bps(fills.side, fills.price, fills.mid)
    realised = realised_spread_bps(fills.side, fills.price, fills.mid, fills.later[:, HORIZONS_S.index(SPREAD_HORIZON_S)])
    samples: dict[str, Sample] = {}
    for word, chosen in (("maker", fills.maker), ("taker", ~fills.maker)):

        def of(value: np.ndarray, chosen: np.ndarray = chosen) -> Sample:
            return Sample(fills.symbol[chosen], fills.hour[chosen], value[chosen])

        samples[f"{word}_effective_spread_bps"], samples[f"{word}_realised_spread_bps"] = of(effective), of(realised)
        for at, seconds in enumerate(HORIZONS_S):
            samples[f"{word}_markout_{seconds}s_bps"] = of(markout_bps(fills.side, fills.price, fills.later[:, at]))
    return samples


def fills_of(recording: Recording, market: Feed | None = None) -> Fills:
    """Return the fills of a run, but for those of a liquidation, with the mids around them."""
    ledger, own = recording.ledger, recording.feed
    rows = ledger[(ledger["kind"] == LedgerKind.FILL) & (ledger["code"] != Purpose.LIQUIDATION)]
    sent = ledger[ledger["kind"] == LedgerKind.REQUEST]
    asked_ns = sent_times(rows, sent)
    price = rows["price_ticks"] * own.instruments["tick_size"][rows["symbol"]]
    mid, later = np.full(len(rows), NAN), np.full((len(rows), len(HORIZONS_S)), NAN)
    for symbol in np.unique(rows["symbol"]):
        of = rows["symbol"] == symbol
        mid[of], later[of] = mids_around(market or own, own.symbols[symbol], rows["exch_ns"][of], rows["x0"][of] > 0)
    notional = rows["qty_lots"] * own.instruments["step_size"][rows["symbol"]] * price
    return Fills(rows["symbol"], hour_of(asked_ns), rows["side"], price, notional, rows["x0"] > 0, mid, later)


def sent_times(fills: np.ndarray, sent: np.ndarray) -> np.ndarray:
    """Return when the order of each fill was sent; stops and targets, which the exchange holds for us, when they filled."""
    order = np.argsort(sent["order_id"], kind="stable")
    ids = sent["order_id"][order]
    if not len(ids):
        return fills["exch_ns"]
    row = np.minimum(np.searchsorted(ids, fills["order_id"]), len(ids) - 1)
    times: np.ndarray = np.where(ids[row] == fills["order_id"], sent["ts_ns"][order][row], fills["exch_ns"])
    return times


def mids_around(market: Feed, name: str, ts_ns: np.ndarray, maker: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mid at each time and at each horizon after it.

    Bars tell closes only: no horizon shorter than a bar, and of a maker, who filled somewhere inside one, no mid at its fill.
    """
    symbol = market.symbols.index(name)
    horizons = np.array(HORIZONS_S) * SECOND_NS
    times = ts_ns[:, None] + np.concatenate([[0], horizons])
    mids = touches_at(market, symbol, times.ravel()).mid.reshape(times.shape)
    if market.kind == "bars":
        mids[maker, 0] = NAN
        mids[:, 1:][:, horizons < market.interval_ns[symbol]] = NAN
    return mids[:, 0], mids[:, 1:]


def hour_of(ts_ns: np.ndarray) -> np.ndarray:
    """Return the UTC hour of each time."""
    hours: np.ndarray = np.asarray(ts_ns) // (3_600 * SECOND_NS) % HOURS
    return hours


# ------------------------------------------------------------ reduction


def places(sample: Sample) -> tuple[np.ndarray, np.ndarray]:
    """Return (group, value) of every observation twice: for its hour, and for all hours of its symbol."""
    kept = ~np.isnan(sample.value)
    symbol, hour, value = (column[kept] for column in sample)
    return np.concatenate([symbol * GROUPS + hour, symbol * GROUPS + HOURS]), np.concatenate([value, value])


def totals(sample: Sample, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (sum, n) of each group."""
    group, value = places(sample)
    return np.bincount(group, value, size), np.bincount(group, minlength=size)


def means(sample: Sample, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (mean, n) of each group, NaN of nothing."""
    total, n = totals(sample, size)
    return np.divide(total, n, out=np.full(size, NAN), where=n > 0), n


def medians(sample: Sample, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (median, n) of each group, NaN of nothing."""
    group, value = places(sample)
    value = np.append(value[np.lexsort((value, group))], NAN)
    n = np.bincount(group, minlength=size)
    first = np.cumsum(n) - n
    low, high = (value[np.minimum(first + half, len(value) - 1)] for half in (np.maximum(n - 1, 0) // 2, n // 2))
    return np.where(n > 0, 0.5 * (low + high), NAN), n


REDUCED = {"mean": means, "median": medians, "sum": totals}


def flat_rows(kpis: dict[str, dict[str, dict[str, Any]]]) -> Iterator[dict[str, Any]]:
    """Yield one dict a symbol and hour: symbol, hour ("all" for the whole run), then the figures."""
    for symbol, hours in kpis.items():
        for hour, figures in hours.items():
            yield {"symbol": symbol, "hour": hour, **figures}
