"""The plan of a run: which strategies at which timeframes with which memory, and the records they start from."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from replay_data.feed import Feed
from replay_data.interval import interval_name, iso
from simcore.config import Config
from simcore.decision.universe import resolve_universe
from simcore.domain.enums import CalledOn, PositionMode
from simcore.domain.errors import ConfigError
from simcore.domain.records import CORE, MAX_QUOTES, MAX_STRATEGIES, MAX_SYMBOLS, MAX_TIMEFRAMES, RUN, VENUE
from simcore.engine.fills import FillRule
from simcore.strategy import Strategy, load_strategy

NANOS = 1_000_000_000
FIRST_ORDER_ID = 4
BOOK_SAMPLES = 240  # a recording of minutes would have two samples an hour apart, and no curve


@dataclass(frozen=True)
class Use:
    """One strategy of the run: its code, its parameters, its signal interval (ns) and the symbols it may trade."""

    name: str
    strategy: Strategy
    params: dict[str, float]
    interval_ns: int
    trades: frozenset[str]


@dataclass
class Plan:
    """Strategies, timeframes and caveats of a run, resolved from feed and config."""

    feed: Feed
    config: Config
    uses: list[Use]
    timeframes: list[int]
    caveats: list[str] = field(default_factory=list)

    @property
    def base_ns(self) -> int:
        """The interval of the replayed bars, in nanoseconds; symbols with others keep their own. On books without bars, the wake's."""
        return self.timeframes[min(self.bar_frame, len(self.timeframes) - 1)]

    @property
    def on_books(self) -> bool:
        """Whether the run replays order books; its timeframe 0 is then the book, looked at each `timeframes[0]` ns."""
        return is_book(self.feed)

    @property
    def bar_frame(self) -> int:
        """The timeframe at which bars enter: 1 on books, else 0."""
        return int(self.on_books)

    @property
    def quoting(self) -> bool:
        """Whether a strategy of the run states two-sided quotes."""
        return any(use.strategy.quotes for use in self.uses)

    @property
    def position_mode(self) -> PositionMode:
        """How the account of the run books positions."""
        return self.config.position_mode(self.quoting)


def make_plan(feed: Feed, config: Config, strategies: list[Strategy] | None = None) -> Plan:
    """Resolve which strategies run on which bars, or on the book itself.

    strategies: decorated objects that stand for registered names of the same name. Raises ConfigError or StrategyError.
    """
    on_books, has_bars = is_book(feed), len(feed.bars) > 0
    base = int(feed.interval_ns.min())
    own = {each.name: each for each in strategies or []}
    caveats: list[str] = []
    uses = []
    for entry in config.enabled_strategies:
        found = own.get(entry.name) or load_strategy(entry.module, entry.name, search=[config.folder.parent])
        trades = frozenset(symbol for symbol in feed.symbols if entry.trades(symbol))
        check_kind(found, on_books, has_bars)
        if found.on_book:
            uses.append(Use(entry.name, found, found.resolve(entry.params), 0, trades))
            continue
        interval = entry.interval_ns
        if 0 < interval < base:
            caveats.append(
                f"{entry.name} asks for {interval_name(interval)} bars; the replay has {interval_name(base)} bars and uses those."
            )
        interval = base if interval < base else interval
        if interval % base:
            raise ConfigError(
                f"strategy_config.json: {entry.name}.interval: {interval_name(interval)} is no multiple of the replayed "
                f"{interval_name(base)} bars. Choose a multiple or replay finer bars."
            )
        uses.append(Use(entry.name, found, found.resolve(entry.params), interval, trades))
    if not uses:
        raise ConfigError("strategy_config.json: no strategy is enabled. Set \"enabled\": true for one, or name one: --strategy ema_cross.")
    if len(uses) > MAX_STRATEGIES:
        raise ConfigError(f"strategy_config.json: {len(uses)} strategies are enabled; one run holds {MAX_STRATEGIES}. Disable some.")
    timeframes = [base] if has_bars or not on_books else []
    timeframes += sorted({use.interval_ns for use in uses} - {base, 0})
    if on_books:
        timeframes.insert(0, wake_ns(config, uses))
    if len(timeframes) > MAX_TIMEFRAMES:
        names = ", ".join(map(interval_name, timeframes))
        raise ConfigError(f"strategy_config.json: the run needs {len(timeframes)} timeframes ({names}); at most {MAX_TIMEFRAMES} fit.")
    if int(feed.interval_ns.max()) != base and len(timeframes) > 1 + on_books:
        caveats.append("Symbols have bars of different intervals: coarser timeframes are built from each symbol's own bars.")
    plan = Plan(feed, config, uses, timeframes, caveats)
    plan.position_mode  # noqa: B018 - refuses a mode that the strategies cannot live with
    return plan


def is_book(feed: Feed) -> bool:
    """Say whether a feed holds order books."""
    return feed.kind == "book"


def check_kind(strategy: Strategy, on_books: bool, has_bars: bool) -> None:
    """Refuse a strategy that cannot run on this feed: a book's on bars, a bar's where there are none. Raises ConfigError."""
    if not on_books and (strategy.on_book or strategy.quotes):
        needs = "quotes both sides of an order book" if strategy.quotes else "follows an order book"
        raise ConfigError(
            f"{strategy.name} {needs}, and this replay has bars. Replay books (--interval book), or choose other strategies."
        )
    if on_books and not has_bars and not strategy.on_book:
        raise ConfigError(
            f'{strategy.name} follows bars (on="{strategy.on}"), and these order books come without. '
            f"Import bars beside them, or choose strategies that follow the book."
        )


def wake_ns(config: Config, uses: list[Use]) -> int:
    """Return how often the core looks at its books: as configured, or oftener where a timer asks for it."""
    every = round(config.settings.book_model.wake_every_ms * 1e6)
    return math.gcd(every, *(use.strategy.every_ns for use in uses))


def build_memory(plan: Plan) -> tuple[np.ndarray, list[tuple[int, int, int]]]:
    """Return the flat array of all parameters and memory, and (param_base, memory_base, stride) of each strategy."""
    parts: list[np.ndarray] = []
    places = []
    at = 0
    for use in plan.uses:
        values = use.strategy.param_values(use.params)
        own = use.strategy.initial_memory(use.params)
        places.append((at, at + len(values), len(own)))
        parts += [values, np.tile(own, len(plan.feed.symbols))]
        at += len(values) + len(own) * len(plan.feed.symbols)
    return np.ascontiguousarray(np.concatenate([*parts, np.zeros(1)])), places


def build_instruments(plan: Plan) -> np.ndarray:
    """Return the feed's INSTRUMENT rows with fees, tier, leverage and spread from the config."""
    feed, config = plan.feed, plan.config
    rows = feed.instruments.copy()
    for index, symbol in enumerate(feed.symbols):
        row = rows[index]
        since = listed_since(plan, symbol)
        config.fill_instrument(row, symbol, feed.quote_assets[int(row["quote_asset"])], since)
        member = resolve_universe(config, [symbol], since)[0]
        row["tier"] = member.tier_id
        row["interval_ns"] = feed.interval_ns[index]
        row["listed_from_ns"], row["listed_to_ns"] = listed_span(plan, index)
        if not member.in_universe:
            plan.caveats.append(f"{symbol} is not traded: {member.reason}")
    return rows


def listed_since(plan: Plan, symbol: str) -> int:
    """Return the first moment of the run at which the symbol may be traded; the start of the run where there is none."""
    start, end = plan.feed.start_ns, plan.feed.end_ns
    spans = [each for each in plan.config.listings(symbol) if each.valid_from_ns < end and each.valid_to_ns > start]
    return max(start, min((each.valid_from_ns for each in spans), default=start))


def listed_span(plan: Plan, index: int) -> tuple[int, int]:
    """Return from when to when the run trades a symbol (ns UTC), and note what the reader should know about it.

    One run trades one tier a symbol: where listings follow on each other, that of the first counts.
    """
    feed, symbol = plan.feed, plan.feed.symbols[index]
    since = listed_since(plan, symbol)
    spans = sorted((each for each in plan.config.listings(symbol) if each.valid_to_ns > since), key=lambda each: each.valid_from_ns)
    if not spans or spans[0].valid_from_ns > since:
        return 0, 0
    first, end = spans[0], spans[0].valid_to_ns
    for later in spans[1:]:
        if later.valid_from_ns == end and later.tier == first.tier:
            end = later.valid_to_ns
        elif later.valid_from_ns < feed.end_ns:
            plan.caveats.append(f"{symbol}: its listing from {iso(later.valid_from_ns)} on is left out; replay that time by itself.")
            break
    low, high = feed.bar_range[index]
    if high > low and int(feed.bars["open_ns"][low]) < since:
        plan.caveats.append(f"{symbol} is traded from {iso(since)} on, when it was listed.")
    if end < feed.end_ns:
        plan.caveats.append(f"{symbol} is traded until {iso(end)}, when its listing ends.")
    return first.valid_from_ns, end


def build_core(plan: Plan, instruments: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the CORE record of a run before its first event, and the strategies' flat memory."""
    feed, config = plan.feed, plan.config
    cores = np.zeros(1, CORE)
    core = cores[0]
    core["n_symbols"] = len(feed.symbols)
    core["n_strategies"] = len(plan.uses)
    core["n_timeframes"] = len(plan.timeframes)
    core["timeframe_ns"][: len(plan.timeframes)] = plan.timeframes
    core["next_order_id"] = FIRST_ORDER_ID
    core["equity_every_ns"] = equity_every_ns(plan)
    core["bar_frame"] = plan.bar_frame
    core["mark_max_age_ns"] = round(config.settings.book_model.mark_max_age_s * NANOS)
    core["flatten_on_kill"] = int(config.settings.kill_switch.flatten)
    core["sigma_high"] = config.settings.regime.high_vol_sigma_day
    core["volume_low_usd"] = config.settings.regime.low_liq_volume_day_usd
    core["account"]["known"] = 1
    core["account"]["position_mode"] = int(plan.position_mode)
    core["account"]["reserve_nav"] = config.reserve_nav
    core["instrument"][: len(instruments)] = instruments
    for index, symbol in enumerate(feed.symbols):
        core["policy"][index] = config.policy(symbol)[0]
        start_market(core, plan, index, instruments[index])
    memory, places = build_memory(plan)
    for index, use in enumerate(plan.uses):
        start_strategy(core, plan, index, use, places[index])
    start_quoter(core, plan)
    return cores, memory


def start_quoter(core: Any, plan: Plan) -> None:
    """Write how quotes are kept, and give each quoting sleeve its rows: two a level and side, one of them for what is taken back."""
    model = plan.config.settings.quoter
    core["quoter"]["levels"] = model.max_levels
    core["quoter"]["min_requote_ticks"] = model.min_requote_ticks
    core["quoter"]["cancel_retry_ns"] = round(model.cancel_retry_s * NANOS)
    core["quoter"]["resize_pct"] = model.resize_pct
    at, rows = 0, 4 * model.max_levels
    for index, use in enumerate(plan.uses):
        for symbol_index, symbol in enumerate(plan.feed.symbols):
            if use.strategy.quotes and symbol in use.trades:
                core["sleeve"][index * MAX_SYMBOLS + symbol_index]["quote_base"] = at
                at += rows
    if at > MAX_QUOTES:
        raise ConfigError(
            f"settings.json: quoter.max_levels: {model.max_levels} levels on every quoted symbol need room for {at} orders; a run has "
            f"{MAX_QUOTES}. Quote fewer levels or symbols."
        )


def equity_every_ns(plan: Plan) -> int:
    """Return how often the account is sampled: as configured, on books at least BOOK_SAMPLES times, each second at most."""
    configured = round(plan.config.settings.equity_sample_s * NANOS)
    if not plan.on_books:
        return configured
    share = (plan.feed.end_ns - plan.feed.start_ns) // BOOK_SAMPLES // NANOS * NANOS
    return min(configured, max(share, NANOS))


def start_market(core: Any, plan: Plan, index: int, instrument: Any) -> None:
    """Write what is known of a symbol before its first bar: identity, interval, modelled spread; on a book, the day's figures."""
    for frame, span in enumerate(plan.timeframes):
        row = core["market"][frame * MAX_SYMBOLS + index]
        row["symbol"] = index
        row["interval_ns"] = plan.feed.interval_ns[index] if frame == plan.bar_frame else span
        row["spread_bps"] = 2.0 * instrument["half_spread_bps"]
        row["sigma_day"] = row["volume_day"] = np.nan
    if plan.on_books:
        start_book(core["market"][index], plan, index)


def start_book(row: Any, plan: Plan, index: int) -> None:
    """Write the day's figures of a book before its first view: of the first bar that knows them, else assumed ones."""
    model, feed = plan.config.settings.book_model, plan.feed
    row["last"] = np.nan
    bars = feed.bars[feed.bar_range[index, 0] : feed.bar_range[index, 0] + 1]
    bars = bars[: feed.bar_range[index, 1] - feed.bar_range[index, 0]]
    if len(bars) and np.isfinite(bars["sigma_day"][0]) and np.isfinite(bars["volume_day"][0]):
        row["sigma_day"], row["volume_day"] = bars["sigma_day"][0], bars["volume_day"][0]
        return
    row["sigma_day"] = model.assumed_sigma_day
    row["volume_day"] = model.assumed_volume_day_usd / first_price(plan, index)
    plan.caveats.append(
        f"{feed.symbols[index]}: no bars tell its day before the start; assumed a volatility of {model.assumed_sigma_day:g} and a "
        f"turnover of {model.assumed_volume_day_usd:,.0f} (settings.json: book_model.assumed_*)."
    )


def first_price(plan: Plan, index: int) -> float:
    """Return a price of the symbol's order of magnitude: the middle of its ladder, or one tick where it has none."""
    feed, tick = plan.feed, float(plan.feed.instruments[index]["tick_size"])
    if not len(feed.ladders):
        return tick
    ladder = feed.ladders[index]
    return max(1.0, float(ladder["base_ticks"]) + 0.5 * float(ladder["span"]) * float(ladder["tick_step"])) * tick


def start_strategy(core: Any, plan: Plan, index: int, use: Use, place: tuple[int, int, int]) -> None:
    """Write one strategy's place in memory, and limits, screen and an empty sleeve for each symbol."""
    row = core["strategy"][index]
    row["on"] = int(CalledOn[use.strategy.on.upper()])
    row["timeframe"] = 0 if use.strategy.on_book else plan.timeframes.index(use.interval_ns, plan.bar_frame)
    row["every_ns"] = use.strategy.every_ns
    row["quotes"] = int(use.strategy.quotes)
    row["param_base"], row["memory_base"], row["memory_stride"] = place
    row["n_params"] = len(use.params)
    row["active"] = 1
    row["warmup_bars"] = use.strategy.warmup(use.params)
    core["sizing"][index] = plan.config.sizing(use.name)[0]
    for symbol_index, symbol in enumerate(plan.feed.symbols):
        place_of = index * MAX_SYMBOLS + symbol_index
        since = listed_since(plan, symbol)
        limits, screen = core["limits"][place_of], core["screen"][place_of]
        core["limits"][place_of] = plan.config.limits(use.name, symbol, since)[0]
        core["screen"][place_of] = plan.config.screen(use.name, symbol, since)[0]
        screen["warmup_bars"] = max(int(screen["warmup_bars"]), int(row["warmup_bars"]))
        if plan.on_books:
            oldest = round(plan.config.settings.book_model.market_max_age_s * NANOS)
            limits["market_max_age_ns"] = min(limits["market_max_age_ns"], oldest)
            screen["market_max_age_ns"] = min(screen["market_max_age_ns"], oldest)
        sleeve = core["sleeve"][place_of]
        sleeve["entry_route"] = sleeve["exit_route"] = sleeve["quote_base"] = -1
        sleeve["barred"] = int(symbol not in use.trades)
        signal = core["signal"][place_of]
        signal["strength"] = signal["bid_size"] = signal["ask_size"] = 1.0


def build_venue(plan: Plan, instruments: np.ndarray) -> np.ndarray:
    """Return the VENUE record of a run before its first event."""
    model = plan.config.settings.bar_model
    venues = np.zeros(1, VENUE)
    venue = venues[0]
    venue["n_symbols"] = len(plan.feed.symbols)
    venue["entry_latency_ns"] = round(model.entry_latency_ms * 1e6)
    venue["fill_rule"] = int(FillRule[model.fill_rule.upper()])
    venue["stop_slippage_ticks"] = model.stop_slippage_ticks
    venue["participation_cap"] = model.participation_cap_pct
    venue["impact_y"] = model.impact_y
    venue["fallback_sigma_day"] = model.fallback_sigma_day
    venue["fallback_volume_day_usd"] = model.fallback_volume_day_usd
    venue["instrument"][: len(instruments)] = instruments
    rates = [instruments["bracket_mmr"][i, : max(1, int(n))].max() for i, n in enumerate(instruments["n_brackets"])]
    venue["mmr_bound"] = max(rates)
    venue["account"]["known"] = 1
    venue["account"]["position_mode"] = int(plan.position_mode)
    if model.fill_rule == "touch":
        plan.caveats.append("Optimistic fill rule 'touch': resting orders fill when the price is merely reached.")
    return venues


def build_run(plan: Plan) -> np.ndarray:
    """Return the RUN record with every cursor at its first row."""
    feed = plan.feed
    runs = np.zeros(1, RUN)
    run = runs[0]
    n = len(feed.symbols)
    run["n_symbols"] = n
    run["interval_ns"][:n] = feed.interval_ns
    for name in ("bar", "mark", "funding", "filter"):
        ranges = getattr(feed, f"{name}_range")
        run[f"{name}_pos"][:n] = ranges[:, 0]
        run[f"{name}_end"][:n] = ranges[:, 1]
    return runs

