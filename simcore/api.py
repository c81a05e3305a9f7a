"""The Python door: `simcore.replay(...)`, `simcore.sweep(...)`, `simcore.validate(...)`.

Resolves what a person names (a catalog, a config folder, strategies, a window) into a feed and a config, replays, and
wraps the recording. The command line goes through the same door.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simcore.domain.errors import ConfigError, DataError

if TYPE_CHECKING:
    from replay_data.feed import Feed
    from simcore.config import Config
    from simcore.report.fidelity import Ladder
    from simcore.report.run import Run
    from simcore.strategy import Strategy
    from simcore.validation.standing import Mismatch
    from simcore.validation.sweep import Sweep
    from simcore.validation.sweep_task import Ground
    from simcore.validation.vetoes import VetoReport
    from simcore.validation.walkforward import Validation

Progress = Callable[[int, int, str], None]
TRIALS = Path("runs") / "trials.jsonl"


def replay(
    *,
    data: str | Path | None = None,
    feed: Feed | None = None,
    strategy: str | Strategy | Iterable[str | Strategy] | None = None,
    symbols: str | Iterable[str] | None = None,
    start: str | datetime | int | None = None,
    end: str | datetime | int | None = None,
    interval: str | None = None,
    config: str | Path | Config | None = None,
    params: Mapping[str, float | str] | None = None,
    cash: float | None = None,
    seed: int = 0,
    interpreted: bool = False,
    policies: str | Path | None = None,
    out: str | Path | None = None,
    progress: Progress | None = None,
    band: bool = False,
) -> Run:
    """Replay market data through universe, strategies, screener, sizer, risk gate and router; return the `Run`.

    data: a catalog folder made by `simcore data import`; without it, the embedded synthetic sample. feed: one's own data
    instead (`replay_data.from_frame`); `symbols`, `start`, `end`, `interval` then do not apply.
    strategy: names from strategy_registry.json, or decorated strategy objects; without it, every enabled one.
    symbols: names, or one string `"A,B"`; without it, every symbol of the catalog. start, end: ISO date or time (UTC when it
    names no zone), datetime with a zone, or nanoseconds; end is exclusive. interval: of the replayed bars, such as "1m".
    config: a folder of JSON files or a loaded config; without it, the packaged one. params: `{"ema_cross.fast": 10}`, or
    `{"fast": 10}` when exactly one strategy is named, or any key of a config file, `{"settings.bar_model.fill_rule": "touch"}`.
    cash: start balance in quote units. interpreted: run strategies as plain Python (breakpoints, any library).
    policies: folder of a run that learned: replay under its history of policies, each as it stood then, instead of learning.
    out: folder for the run's files; without it, nothing is written. progress: called with (done, total, word).
    band: replay the pessimistic fill model and double latency as well; `run.band` holds their figures beside the run's own.

    A feed of one's own may hold symbols that pairs_universe.json does not list: they trade in its default tier.

    Raises ConfigError, DataError or StrategyError with the value, the place and the next step.
    """
    settings, objects = configured(config, strategy, params, cash, unlisted=feed is not None)
    feed = feed if feed is not None else load_feed(data, symbols, start, end, interval)

    def play(chosen: Config) -> Run:
        return run_once(feed, chosen, objects, seed, interpreted, progress, policies)

    run = play(settings)
    if band:
        from simcore.report.band import band_of

        run.band = band_of(run, settings, play)
    if out is not None:
        run.save(Path(out))
    return run


def fidelity(
    *,
    data: str | Path | None = None,
    feed: Feed | None = None,
    strategy: str | Strategy | Iterable[str | Strategy] | None = None,
    symbols: str | Iterable[str] | None = None,
    start: str | datetime | int | None = None,
    end: str | datetime | int | None = None,
    bars: str = "1m",
    config: str | Path | Config | None = None,
    params: Mapping[str, float | str] | None = None,
    cash: float | None = None,
    seed: int = 0,
    interpreted: bool = False,
    out: str | Path | None = None,
    progress: Progress | None = None,
) -> Ladder:
    """Replay one strategy and window of a book recording on bars, on trades, on best bid and ask, and on full depth.

    The poorer recordings are made of the full one. bars: length of the bars made of the trades, which every rung carries, so that
    a strategy on bars decides alike on all of them. The other arguments are those of `replay`. Returns the `Ladder`: figures side
    by side, and the correction that the cost of a bar-only replay needs.

    Raises what `replay` raises; a rung on which the strategy cannot run is left out, with the reason.
    """
    settings, objects = configured(config, strategy, params, cash, unlisted=feed is not None)
    feed = feed if feed is not None else load_feed(data, symbols, start, end, "book")

    from simcore.report.fidelity import Ladder, rungs_of

    model = settings.settings.book_model
    rungs = rungs_of(feed, bars, model.assumed_sigma_day, model.assumed_volume_day_usd)
    ladder = Ladder.climb(rungs, lambda rung: run_once(rung, settings, objects, seed, interpreted, progress))
    if out is not None:
        ladder.save(Path(out))
    return ladder


def screen(
    *,
    data: str | Path | None = None,
    feed: Feed | None = None,
    strategy: str | Strategy | Iterable[str | Strategy] | None = None,
    symbols: str | Iterable[str] | None = None,
    start: str | datetime | int | None = None,
    end: str | datetime | int | None = None,
    interval: str | None = None,
    config: str | Path | Config | None = None,
    params: Mapping[str, float | str] | None = None,
    nav: float | None = None,
) -> list[dict[str, Any]]:
    """Replay up to `end`, then return a verdict on every position that a strategy wishes, with what stands against it.

    nav: judge as if the account were worth this much, in quote units. The other arguments are those of `replay`, and so is what
    it raises. The keys of a verdict are those of `simcore.replay.candidates`.
    """
    if nav is not None and not 0.0 < nav < float("inf"):
        raise ConfigError(f"nav: {nav:g} must be a positive number of quote units.")
    settings, objects = configured(config, strategy, params, None, unlisted=feed is not None)
    feed = feed if feed is not None else load_feed(data, symbols, start, end, interval)

    from simcore.replay.candidates import candidates
    from simcore.replay.session import Session

    session = Session(feed, settings, objects or None)
    session.finish()
    return list(candidates(session, nav))


def run_once(
    feed: Feed,
    settings: Config,
    objects: list[Strategy],
    seed: int,
    interpreted: bool,
    progress: Progress | None,
    policies: str | Path | None = None,
) -> Run:
    """Replay a feed under a resolved config and wrap the recording."""
    from simcore.replay import run_replay
    from simcore.report.run import Run

    recording = run_replay(
        feed, settings, strategies=objects or None, seed=seed, interpreted=interpreted, policies=policies, progress=progress
    )
    return Run(recording)


def configured(
    config: str | Path | Config | None,
    strategy: str | Strategy | Iterable[str | Strategy] | None,
    params: Mapping[str, float | str] | None,
    cash: float | None,
    unlisted: bool,
) -> tuple[Config, list[Strategy]]:
    """Return the config of a run as a person asked for it, and the strategies given as objects."""
    from simcore.config import load_config

    settings = load_config(Path(config)) if isinstance(config, (str, Path)) else config or load_config()
    names, objects = split_strategies(strategy)
    for each in objects:
        settings = settings.with_strategy(each.name, each.params)
    names = names or [each.name for each in objects]
    settings = settings.replace(
        strategies=names or None,
        cash=cash,
        set=qualified_params(params, names),
        allow_unlisted_symbols=True if unlisted else None,
    )
    return settings, objects


def sweep(
    grid: Mapping[str, Any],
    *,
    data: str | Path | None = None,
    feed: Feed | None = None,
    strategy: str | Strategy | Iterable[str | Strategy] | None = None,
    symbols: str | Iterable[str] | None = None,
    windows: Sequence[tuple[str | datetime | int | None, str | datetime | int | None]] | None = None,
    interval: str | None = None,
    together: bool = False,
    config: str | Path | Config | None = None,
    params: Mapping[str, float | str] | None = None,
    cash: float | None = None,
    seed: int = 0,
    method: str = "grid",
    draws: int | None = None,
    by: str = "sharpe",
    study: str = "",
    trials: str | Path = TRIALS,
    threads: int | None = None,
    cluster: str | None = None,
    digests: bool = False,
    progress: Progress | None = None,
) -> Sweep:
    """Replay every combination of parameters, windows and symbols; return the `Sweep` with a row for each, all in the trial ledger.

    grid: `{"fast": range(10, 60, 10), "slow": [100, 200]}` when one strategy is named, else `"strategy.fast"`; any key of a config
    file may vary too, `"settings.bar_model.fill_rule"`. Values are a list, a range, or text: "10:50:10", "10,20". Points that the
    config's own rules refuse are left out and counted.
    windows: (start, end) pairs as in `replay`; without it, all of the data. symbols: each is swept by itself, unless `together`,
    which trades them as one account. data, interval, config, params, cash, strategy: as in `replay`. feed: one's own data; it is
    swept as it is, and stays in this process.
    method: "grid" tries everything, "random" and "optuna" try `draws` points. by: what ranks: "sharpe", "net_pnl", "total_return" or
    "max_drawdown". study: the question, in the ledger. trials: the trial ledger; what it holds already is not played again.
    threads: of this machine (default: one a processor); cluster: address of a dask scheduler instead. digests: keep each run's
    digest, and play what is known again.

    Raises ConfigError, DataError or StrategyError; what was finished by then is in the ledger.
    """
    from simcore.validation.cluster import workers
    from simcore.validation.proposers import make_proposer
    from simcore.validation.space import read_axes
    from simcore.validation.sweep import run_sweep

    settings, objects = configured(config, strategy, params, cash, unlisted=feed is not None)
    if cluster is not None and (objects or feed is not None):
        raise ConfigError("sweep: a cluster needs registered strategies and a catalog (data=...) that every worker can read.")
    space = read_axes(grid, [each.name for each in settings.enabled_strategies])
    grounds = [ground_of(feed)] if feed is not None else find_grounds(data, symbols, windows or [(None, None)], interval, together)
    proposer = make_proposer(method, space, draws, seed)
    with workers(threads, cluster) as crew:
        return run_sweep(
            settings, grounds, proposer, crew, trials=trials, clock=time.time_ns, by=by, study=study, seed=seed, strategies=objects,
            digests=digests, progress=progress,
        )  # fmt: skip


def ground_of(feed: Feed, root: str | None = None, interval: str = "", window: tuple[int | None, int | None] = (None, None)) -> Ground:
    """Return a feed as something to score points on."""
    from simcore.validation.sweep_task import Ground

    return Ground(feed.symbols, feed.start_ns, feed.end_ns, feed.content_hash, interval, root, window, feed)


def find_grounds(
    data: str | Path | None,
    symbols: str | Iterable[str] | None,
    windows: Sequence[tuple[str | datetime | int | None, str | datetime | int | None]],
    interval: str | None,
    together: bool,
) -> list[Ground]:
    """Return every window of a catalog with every symbol by itself, or all of them together."""
    root = "" if data is None else str(Path(data).resolve())
    grounds = []
    for start, end in windows:
        whole = load_feed(data, symbols, start, end, interval)
        apart = not together and len(whole.symbols) > 1
        feeds = [load_feed(data, [name], start, end, interval) for name in whole.symbols] if apart else [whole]
        span = to_ns(start, "start"), to_ns(end, "end")
        grounds += [ground_of(feed, root, interval or "1m", span) for feed in feeds]
    return grounds


def validate(
    *,
    data: str | Path | None = None,
    feed: Feed | None = None,
    strategy: str | Strategy | Iterable[str | Strategy] | None = None,
    symbols: str | Iterable[str] | None = None,
    start: str | datetime | int | None = None,
    end: str | datetime | int | None = None,
    interval: str | None = None,
    config: str | Path | Config | None = None,
    params: Mapping[str, float | str] | None = None,
    variants: Mapping[str, Mapping[str, float | str]] | None = None,
    cash: float | None = None,
    seed: int = 0,
    study: str | None = None,
    trials: str | Path = TRIALS,
    out: str | Path | None = None,
    progress: Progress | None = None,
) -> Validation:
    """Validate the learning layer on market data, walk-forward and beside a frozen baseline; return the `Validation`.

    Everything that `replay` takes means the same here; config/validation.json says how long folds are, which policies are tried
    and what must be met. variants: parameter sets tried beside them, `{"fast 12": {"ema_cross.fast": 12}}`. study: a name for the
    question. trials: the ledger that every scored policy is appended to. out: folder for validation.json, validation.html and the
    learned policies; without it, nothing but the ledger is written.
    """
    from simcore.validation.walkforward import validate as walk

    settings, objects = configured(config, strategy, params, cash, unlisted=feed is not None)
    whole = feed if feed is not None else load_feed(data, symbols, start, end, interval)
    result = walk(
        whole, settings, trials=trials, now_ns=time.time_ns(), study=study, strategies=objects or None, variants=variants, seed=seed,
        progress=progress,
    )  # fmt: skip
    if out is not None:
        from simcore.report.validation import save

        asked = {
            "strategies": None if strategy is None else list(result.strategies),
            "params": dict(params or {}),
            "cash": cash,
            "symbols": list(whole.symbols),
            "start_ns": whole.start_ns,
            "end_ns": whole.end_ns,
            "interval_ns": int(whole.interval_ns.min()),
        }
        save(result, whole, Path(out), asked, objects or None)
    return result


def vetoes(
    *,
    data: str | Path | None = None,
    feed: Feed | None = None,
    strategy: str | Strategy | Iterable[str | Strategy] | None = None,
    symbols: str | Iterable[str] | None = None,
    start: str | datetime | int | None = None,
    end: str | datetime | int | None = None,
    interval: str | None = None,
    config: str | Path | Config | None = None,
    params: Mapping[str, float | str] | None = None,
    cash: float | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> VetoReport:
    """Replay bars and return what every limit cost and saved, and which never bound. Arguments: as in `replay`."""
    from simcore.validation.vetoes import veto_economics

    settings, objects = configured(config, strategy, params, cash, unlisted=feed is not None)
    feed = feed if feed is not None else load_feed(data, symbols, start, end, interval)
    return veto_economics(run_once(feed, settings, objects, seed, False, progress).recording, settings)


def promote(folder: str | Path, key: str | Path, certificate: str | Path | None = None) -> Path:
    """Sign a certificate for the validation in `folder` (made by `validate(out=folder)`); return where it was written.

    key: a private key made by `simcore certificate key`. certificate: the file, by default certificate.json in the folder.
    Raises DataError naming the criteria where the validation was refused.
    """
    from simcore.config.validation import CertificateRules
    from simcore.validation.certificate import content_of, issue

    validation = read_validation(Path(folder))
    rules = CertificateRules(**validation["standing"]["config"]["validation"]["certificate"])
    where = Path(folder) / "certificate.json" if certificate is None else Path(certificate)
    issue(where, content_of(validation, rules, time.time_ns()), key)
    return where


def verify(
    certificate: str | Path,
    trusted: str | Path,
    *,
    data: str | Path | None = None,
    feed: Feed | None = None,
    config: str | Path | Config | None = None,
    strategy: Strategy | Iterable[Strategy] | None = None,
    policies: str | Path | None = None,
) -> list[Mismatch]:
    """Hold a certificate against source, config, policies, strategies and data as they are now; return what does not fit.

    trusted: the public key (.pub) that must have signed it. data, feed, config, strategy: as in `validate`; the certificate says
    which strategies, parameters, symbols and window. policies: the folder of v6_policies.json, by default that of the certificate.
    """
    from simcore.learning.snapshots import CURRENT, load_current
    from simcore.validation.certificate import read_certificate
    from simcore.validation.certificate import verify as check
    from simcore.validation.policies import with_stages
    from simcore.validation.signing import load_public
    from simcore.validation.standing import Mismatch, standing

    whole = read_certificate(certificate)
    asked, certified = whole["content"]["asked"], whole["content"]["standing"]
    now = feed if feed is not None else load_feed(data, asked["symbols"], asked["start_ns"], asked["end_ns"], asked_interval(asked))
    settings, objects = configured(config, strategy or asked["strategies"], asked["params"], asked["cash"], unlisted=feed is not None)
    settings = with_stages(settings, settings.validation.judged)
    folder = Path(certificate).parent if policies is None else Path(policies)
    held: dict[str, Any] | None = None
    trouble = None
    if certified["policy"][CURRENT] is not None:
        try:
            held = load_current(folder).as_dict()
        except DataError as error:
            trouble = Mismatch("policy", str(error))
    parts = standing(settings, now, held, objects or None)
    if trouble is not None:
        parts["policy"] = certified["policy"]
    return [*check(certificate, parts, [load_public(trusted)], time.time_ns()), *([trouble] if trouble else [])]


def asked_interval(asked: Mapping[str, Any]) -> str:
    """Return the bar length a certificate names."""
    from replay_data.interval import interval_name

    return interval_name(asked["interval_ns"])


def read_validation(folder: Path) -> dict[str, Any]:
    """Return the JSON object of a validation folder. Raises DataError when there is none."""
    where = folder / "validation.json"
    try:
        found: dict[str, Any] = json.loads(where.read_bytes())
    except (OSError, ValueError) as trouble:
        raise DataError(f"{where}: cannot be read ({trouble}). Make one with 'simcore validate --out {folder}'.") from None
    if not isinstance(found, dict) or not {"standing", "verdict", "asked"} <= set(found):
        raise DataError(f"{where}: is no validation. Make one with 'simcore validate --out {folder}'.")
    return found


def load_feed(
    data: str | Path | None,
    symbols: str | Iterable[str] | None = None,
    start: str | datetime | int | None = None,
    end: str | datetime | int | None = None,
    interval: str | None = None,
) -> Feed:
    """Return the feed of a window of a catalog folder, or of the embedded synthetic sample when `data` is None."""
    start_ns, end_ns = to_ns(start, "start"), to_ns(end, "end")
    if data is not None and not Path(data).is_dir():
        raise DataError(f"{data}: no such catalog folder. Make one with 'simcore data import PATH --data {data}'.")

    from replay_data.catalog import Catalog
    from replay_data.sample import sample_catalog

    catalog = Catalog(Path(data) if data is not None else sample_catalog())
    wanted = symbols.split(",") if isinstance(symbols, str) else symbols
    names = sorted({name.strip().upper() for name in wanted if name.strip()}) if wanted is not None else None
    return catalog.feed(symbols=names, start_ns=start_ns, end_ns=end_ns, interval=interval or "1m")


def split_strategies(strategy: Any) -> tuple[list[str], list[Strategy]]:
    """Split what a person named as strategies into registered names and decorated objects, in the order given."""
    if strategy is None:
        return [], []
    given = [strategy] if isinstance(strategy, str) or not isinstance(strategy, Iterable) else list(strategy)
    names = [each for each in given if isinstance(each, str)]
    objects = [each for each in given if not isinstance(each, str)]
    for each in objects:
        if not hasattr(type(each), "compiled"):
            raise ConfigError(f"strategy: {each!r} is neither a name nor a strategy. Put @strategy(...) above the function.")
    if names and objects:
        raise ConfigError("strategy: name registered strategies or pass strategy objects, not both in one replay.")
    return names, objects


def qualified_params(params: Mapping[str, float | str] | None, names: list[str]) -> dict[str, float | str]:
    """Return the parameters with their strategy in front: `{"fast": 10}` becomes `{"ema_cross.fast": 10}`."""
    result: dict[str, float | str] = {}
    for key, value in (params or {}).items():
        if "." not in key and len(names) != 1:
            raise ConfigError(f"params: {key!r} does not say of which strategy. Write 'strategy.{key}'.")
        result[key if "." in key else f"{names[0]}.{key}"] = value
    return result


def to_ns(moment: str | datetime | int | None, name: str) -> int | None:
    """Return nanoseconds UTC of an ISO date or time, a datetime with a zone, or nanoseconds; None stays None.

    >>> to_ns("2025-05-04T12:00", "start")
    1746360000000000000
    """
    if moment is None or isinstance(moment, int):
        return moment
    if isinstance(moment, str):
        try:
            moment = datetime.fromisoformat(moment.strip())
        except ValueError:
            raise DataError(f"{name}: {moment!r} is no date. Write it as 2025-05-04 or 2025-05-04T12:00, in UTC.") from None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if moment.tzinfo is None:
        raise DataError(f"{name}: {moment.isoformat()} has no time zone. Add tzinfo=datetime.UTC.")
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1_000


def find_strategy(name: str, config: str | Path | None = None) -> tuple[Strategy, dict[str, float]]:
    """Return a registered strategy, looked for in strategies/ and beside the config folder, and its parameters there."""
    from simcore.config import load_config
    from simcore.strategy import load_strategy

    settings = load_config(None if config is None else Path(config))
    entry = settings.entry(name)
    return load_strategy(entry.module, name, search=[settings.folder.parent]), entry.params
