"""Raw rows to events, plainly: sort, round, run the local clock up, place on the ladder."""

from __future__ import annotations

from decimal import Decimal

CODES = {(1, 1): 0, (1, -1): 1, (2, -1): 2, (2, 1): 3, 3: 4, 4: 6, 5: 8}


def best_range(rows):
    """Return (lowest, highest) price in ticks that was ever best or traded, and the first index with a whole two-sided book."""
    books = {0: {}, 1: {}}
    seen, first = [], None
    ok = not any(row["kind"] == 3 for row in rows)
    for at, row in enumerate(rows):
        if row["kind"] == 1:
            book = books[0 if row["side"] == 1 else 1]
            if row["lots"]:
                book[row["ticks"]] = row["lots"]
            else:
                book.pop(row["ticks"], None)
        elif row["kind"] == 2:
            seen.append(row["ticks"])
        elif row["kind"] == 3:
            books = {0: {}, 1: {}}
            ok = False
        else:
            ok = row["kind"] == 4
        if ok and row["last"] and books[0] and books[1]:
            seen += [max(books[0]), min(books[1])]
            first = at if first is None else first
    return seen, first


def expected_events(raw, tick, step, base, span):
    """Return the rows (ts_exch, ts_local, kind, level, lots, last) that `raw` (a list of dicts) becomes on a given ladder."""
    rows = [dict(row) for row in raw]
    rows = sorted(rows, key=lambda row: (row["ts_exch"], row["kind"] != 2))
    for at, row in enumerate(rows):
        row["ticks"] = int(Decimal(str(row["price"])) / Decimal(str(tick)))
        row["lots"] = int(Decimal(str(row["qty"])) / Decimal(str(step)))
        after = rows[at + 1] if at + 1 < len(rows) else {"kind": 0}
        same = all(row["kind"] == 1 == after["kind"] and row[name] == after[name] for name in ("ts_exch", "ts_local") if after["kind"])
        row["last"] = int(row["kind"] != 3 and not (same and after["kind"]))
    seen, first = best_range(rows)
    smallest = min(row["ts_local"] - row["ts_exch"] for row in rows)
    shift = 0 if smallest >= 0 else 1_000_000 - smallest
    cleared = any(row["kind"] == 3 for row in rows)
    out, clock, far = [], 0, 0
    messages = []
    for at, row in enumerate(rows):
        clock = max(clock, row["ts_local"] + shift)
        if at == 0 and first is not None and not cleared:
            out.append([row["ts_exch"], clock, 4, 0, 0, 0])
        code = CODES[row["kind"], row["side"]] if row["kind"] < 3 else CODES[row["kind"]]
        level, lots = 0, 0
        if row["kind"] < 3:
            lots, level = row["lots"], row["ticks"] - base
            if not 0 <= level < span:
                far += 1
                if row["last"]:
                    for kept in messages[-1:]:
                        kept[5] = 1
                    messages = []
                level = None
            elif code % 2:
                level = 2 * span - 1 - level
        if level is not None:
            new = [row["ts_exch"], clock, code, level, lots, row["last"]]
            out.append(new)
            messages = [new] if row["kind"] == 1 else []
        if at == first and not cleared:
            out.append([row["ts_exch"], clock, 6, 0, 0, 1])
    return out, far, shift, seen
