"""Streaming indicators: one value in, one value out, equal to what the whole series would give.

These are the words strategies are written in, so they carry no `_nb`, and work compiled and uncompiled. In a strategy the
first argument is a window of its memory, `sma(memory["closes"], close)`; the rewriter turns it into the flat array and the
place of the window's header. Every call adds one value, so a window belongs to one indicator, called once a bar.

- Not warm is NaN: a window indicator says NaN until its window is full. Comparisons with NaN are false.
- A NaN or infinite input makes every window that holds it NaN, as pandas' `rolling(n)` does; it never lingers after that.
- Averages over all history (`ema_step`, `wilder_step`, `atr`, `rsi`) skip a NaN input and keep their last value.
- Sums run from value to value and are taken anew whenever the ring comes round, so rounding errors cannot pile up.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from simcore.jit import kernel

# Places in a window's header. A new window is all zero but for SIZE and DATA. QUICK is for `sma` alone: the place of the ring
# up to which a finite value needs no second look, 0 while the window is not full or holds a gap.
SIZE, DATA, SEEN, AT, TOTAL, SQUARES, CENTRE, PEAK, LAST_BAD, HEAD, LENGTH, QUICK = range(12)
HEADER = 12
DATA_PER_VALUE = 2

NAN = math.nan
INFINITY = math.inf
# Below this share of the largest sum since the last fresh one, rounding has eaten too much: sum again.
CANCELLED = 1e-4


def windowed(function: Callable[..., Any]) -> Callable[..., float]:
    """Compile an indicator of a window, for which an author writes one argument, memory["name"], instead of two."""
    return kernel(function)


@windowed
def lagged(memory, base, x):
    """Add `x` and return the value of n bars ago; NaN until n values were there before it."""
    n = int(memory[base + SIZE])
    at = int(memory[base + AT])
    cell = base + int(memory[base + DATA]) + at
    memory[base + SEEN] += 1.0
    left = NAN
    if memory[base + SEEN] > n:
        left = memory[cell]
    if abs(x) < INFINITY:
        memory[cell] = x
    else:
        memory[cell] = NAN
        memory[base + LAST_BAD] = memory[base + SEEN]
    memory[base + AT] = at + 1 if at + 1 < n else 0
    return left


@kernel
def full_nb(memory, base):
    """Say whether the window is full and holds only finite values."""
    n = memory[base + SIZE]
    seen = memory[base + SEEN]
    bad = memory[base + LAST_BAD]
    return seen >= n and (bad == 0.0 or seen - bad >= n)


@windowed
def value_ago(memory, base, k):
    """Return the value added `k` calls before the newest (0 is the newest) without adding one; NaN if it is not there."""
    n = int(memory[base + SIZE])
    if k < 0 or k >= n or k >= memory[base + SEEN]:
        return NAN
    return memory[base + int(memory[base + DATA]) + (int(memory[base + AT]) - 1 - int(k)) % n]


@kernel
def _recentre_nb(memory, base):
    """Take the sums anew, as deviations from the newest value: a constant window then has exactly no spread."""
    n = int(memory[base + SIZE])
    data = base + int(memory[base + DATA])
    centre = memory[data + (int(memory[base + AT]) - 1) % n]
    if centre != centre:
        centre = memory[base + CENTRE]
    total = 0.0
    squares = 0.0
    for k in range(min(n, int(memory[base + SEEN]))):
        d = memory[data + k] - centre
        if d == d:
            total += d
            squares += d * d
    memory[base + CENTRE] = centre
    memory[base + TOTAL] = total
    memory[base + SQUARES] = squares
    memory[base + PEAK] = squares


@kernel
def _add_nb(memory, base, x):
    """Add `x` to the window and its running sums."""
    left = lagged(memory, base, x)
    if memory[base + AT] == 0.0 or memory[base + SEEN] == 1.0:
        _recentre_nb(memory, base)
        return
    d = x - memory[base + CENTRE]
    if abs(d) < INFINITY:
        memory[base + TOTAL] += d
        memory[base + SQUARES] += d * d
    d = left - memory[base + CENTRE]
    if d == d:
        memory[base + TOTAL] -= d
        memory[base + SQUARES] -= d * d
    if memory[base + SQUARES] > memory[base + PEAK]:
        memory[base + PEAK] = memory[base + SQUARES]


@kernel
def _mean_nb(memory, base):
    if not full_nb(memory, base):
        return NAN
    return memory[base + CENTRE] + memory[base + TOTAL] / memory[base + SIZE]


@kernel
def _deviation_nb(memory, base):
    n = memory[base + SIZE]
    if n < 2.0 or not full_nb(memory, base):
        return NAN
    spread = memory[base + SQUARES] - memory[base + TOTAL] * memory[base + TOTAL] / n
    if spread < CANCELLED * memory[base + PEAK]:
        _recentre_nb(memory, base)
        spread = memory[base + SQUARES] - memory[base + TOTAL] * memory[base + TOTAL] / n
    return math.sqrt(spread / (n - 1.0)) if spread > 0.0 else 0.0


@windowed
def sma(memory, base, x):
    """Add `x` and return the mean of the last n values."""
    at = memory[base + AT]
    if at < memory[base + QUICK] and abs(x) < INFINITY:
        cell = base + int(memory[base + DATA] + at)
        centre = memory[base + CENTRE]
        total = memory[base + TOTAL] + (x - centre) - (memory[cell] - centre)
        memory[cell] = x
        memory[base + AT] = at + 1.0
        memory[base + TOTAL] = total
        return centre + total / memory[base + SIZE]
    return _sma_edge_nb(memory, base, x)


@kernel
def _sma_edge_nb(memory, base, x):
    """Do what `sma` does where the window is not full, holds a gap or comes round; SEEN counts these calls only."""
    left = lagged(memory, base, x)
    if memory[base + AT] == 0.0 or memory[base + SEEN] == 1.0:
        _retotal_nb(memory, base)
    else:
        centre = memory[base + CENTRE]
        if abs(x) < INFINITY:
            memory[base + TOTAL] += x - centre
        if left == left:
            memory[base + TOTAL] -= left - centre
    if not full_nb(memory, base):
        memory[base + QUICK] = 0.0
        return NAN
    memory[base + LAST_BAD] = 0.0
    memory[base + QUICK] = memory[base + SIZE] - 1.0
    return _mean_nb(memory, base)


@kernel
def _retotal_nb(memory, base):
    """Take the sum anew, as deviations from the newest finite value; four sums side by side wait for none."""
    n = int(memory[base + SIZE])
    data = base + int(memory[base + DATA])
    newest = memory[data + (int(memory[base + AT]) - 1) % n]
    centre = newest if newest == newest else memory[base + CENTRE]
    most = min(n, int(memory[base + SEEN]))
    first = second = third = fourth = 0.0
    for k in range(data, data + most - 3, 4):
        first += _deviation_from_nb(memory[k], centre)
        second += _deviation_from_nb(memory[k + 1], centre)
        third += _deviation_from_nb(memory[k + 2], centre)
        fourth += _deviation_from_nb(memory[k + 3], centre)
    for k in range(data + most - most % 4, data + most):
        first += _deviation_from_nb(memory[k], centre)
    memory[base + CENTRE] = centre
    memory[base + TOTAL] = (first + second) + (third + fourth)


@kernel
def _deviation_from_nb(value, centre):
    """Return how far a value is from the centre, 0 for a gap."""
    return value - centre if value == value else 0.0


@windowed
def rolling_std(memory, base, x):
    """Add `x` and return the sample standard deviation (divisor n - 1) of the last n values."""
    _add_nb(memory, base, x)
    return _deviation_nb(memory, base)


@windowed
def zscore(memory, base, x):
    """Add `x` and return its distance from the mean of the last n values in their standard deviations; NaN if those are 0."""
    _add_nb(memory, base, x)
    deviation = _deviation_nb(memory, base)
    if not deviation > 0.0:
        return NAN
    return (x - _mean_nb(memory, base)) / deviation


@kernel
def _extreme_nb(memory, base):
    """Return the extreme of a window kept by `_queue_nb`."""
    if not full_nb(memory, base) or memory[base + LENGTH] == 0.0:
        return NAN
    n = int(memory[base + SIZE])
    data = base + int(memory[base + DATA])
    return memory[data + int(memory[data + n + int(memory[base + HEAD])] - 1.0) % n]


@kernel
def _queue_nb(memory, base, x, sign):
    """Add `x` and keep a queue of the values that can still become the extreme: the best first, each beaten by none after it.

    Every value enters and leaves the queue once, so a call costs a constant on average whatever n is.
    """
    lagged(memory, base, x)
    n = int(memory[base + SIZE])
    data = base + int(memory[base + DATA])
    seen = memory[base + SEEN]
    head = int(memory[base + HEAD])
    length = int(memory[base + LENGTH])
    if length > 0 and memory[data + n + head] <= seen - n:
        head = (head + 1) % n
        length -= 1
    if abs(x) < INFINITY:
        while length > 0:
            stamp = memory[data + n + (head + length - 1) % n]
            if sign * memory[data + int(stamp - 1.0) % n] > sign * x:
                break
            length -= 1
        memory[data + n + (head + length) % n] = seen
        length += 1
    memory[base + HEAD] = head
    memory[base + LENGTH] = length


@windowed
def rolling_max(memory, base, x):
    """Add `x` and return the largest of the last n values, `x` included."""
    _queue_nb(memory, base, x, 1.0)
    return _extreme_nb(memory, base)


@windowed
def rolling_min(memory, base, x):
    """Add `x` and return the smallest of the last n values, `x` included."""
    _queue_nb(memory, base, x, -1.0)
    return _extreme_nb(memory, base)


@windowed
def highest_before(memory, base, x):
    """Return the largest of the n values before `x`, then add `x`: a channel the present bar can break."""
    before = _extreme_nb(memory, base)
    _queue_nb(memory, base, x, 1.0)
    return before


@windowed
def lowest_before(memory, base, x):
    """Return the smallest of the n values before `x`, then add `x`: a channel the present bar can break."""
    before = _extreme_nb(memory, base)
    _queue_nb(memory, base, x, -1.0)
    return before


@windowed
def momentum(memory, base, x):
    """Add `x` and return its difference to the value of n bars ago."""
    return x - lagged(memory, base, x)


@windowed
def rate_of_change(memory, base, x):
    """Add `x` and return its return over n bars as a fraction; NaN where the old value is 0."""
    old = lagged(memory, base, x)
    if old == 0.0 or old != old:
        return NAN
    return x / old - 1.0


@kernel
def true_range(high, low, previous_close):
    """Return the bar's range including the gap from the previous close; `high - low` where that is NaN."""
    span = high - low
    if previous_close == previous_close and span == span:
        span = max(span, max(abs(high - previous_close), abs(low - previous_close)))
    return span


@windowed
def atr(memory, base, high, low, close):
    """Add a bar and return Wilder's average true range over n bars: their mean at first, smoothed by 1/n from then on."""
    previous = memory[base + CENTRE] if memory[base + LENGTH] > 0.0 else NAN
    span = true_range(high, low, previous)
    if abs(close) < INFINITY:
        memory[base + CENTRE] = close
        memory[base + LENGTH] = 1.0
    n = memory[base + SIZE]
    if abs(span) < INFINITY:
        memory[base + SEEN] += 1.0
        if memory[base + SEEN] <= n:
            memory[base + TOTAL] += span / n
        else:
            memory[base + TOTAL] += (span - memory[base + TOTAL]) / n
    return memory[base + TOTAL] if memory[base + SEEN] >= n else NAN


@windowed
def rsi(memory, base, x):
    """Add `x` and return Wilder's relative strength index over n changes, 0 to 100; 50 where nothing moved."""
    n = memory[base + SIZE]
    if abs(x) < INFINITY:
        if memory[base + LENGTH] > 0.0:
            change = x - memory[base + CENTRE]
            gain = max(change, 0.0)
            loss = max(-change, 0.0)
            memory[base + SEEN] += 1.0
            if memory[base + SEEN] <= n:
                memory[base + TOTAL] += gain / n
                memory[base + SQUARES] += loss / n
            else:
                memory[base + TOTAL] += (gain - memory[base + TOTAL]) / n
                memory[base + SQUARES] += (loss - memory[base + SQUARES]) / n
        memory[base + CENTRE] = x
        memory[base + LENGTH] = 1.0
    if memory[base + SEEN] < n:
        return NAN
    moved = memory[base + TOTAL] + memory[base + SQUARES]
    return 100.0 * memory[base + TOTAL] / moved if moved > 0.0 else 50.0


@kernel
def ema_step(previous, x, n):
    """Return the exponential average after `x`, with weight 2 / (n + 1); a NaN `previous` starts it at `x`."""
    if previous != previous:
        return x
    if x != x:
        return previous
    return previous + (x - previous) * 2.0 / (n + 1.0)


@kernel
def wilder_step(previous, x, n):
    """Return Wilder's average after `x`, with weight 1 / n; a NaN `previous` starts it at `x`."""
    if previous != previous:
        return x
    if x != x:
        return previous
    return previous + (x - previous) / n
