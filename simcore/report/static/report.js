"use strict";
/* The page's own script: unpacks the data, draws the charts, sorts tables. Writes text nodes only, never markup. */
(async () => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  async function unpack(column) {
    if (!column.n) return [];
    const raw = Uint8Array.from(atob(column.code), (c) => c.charCodeAt(0));
    const stream = new Blob([raw]).stream().pipeThrough(new DecompressionStream("deflate"));
    const bytes = await new Response(stream).arrayBuffer();
    if (column.wide) return Array.from(new Float64Array(bytes));
    let level = column.base;
    return Array.from(new Int32Array(bytes), (step) => (level += step));
  }
  async function unpackAll(columns) {
    const names = Object.keys(columns);
    const values = await Promise.all(names.map((name) => unpack(columns[name])));
    return Object.fromEntries(names.map((name, i) => [name, values[i]]));
  }
  const amount = (v, digits = 2) =>
    v == null ? "–" : v.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits }).replaceAll(",", "\u202f").replace("-", "−");
  const utc = (t, length = 16) => new Date(t * 1000).toISOString().slice(0, length).replace("T", " ");

  const dates = (u, ticks) => ticks.map((t) => (t % 86400 ? (t % 60 ? utc(t, 19).slice(11) : utc(t).slice(5, 16)) : utc(t).slice(0, 10)));

  /* Equity, drawdown and exposure: three plots with one cursor. */
  const equity = await unpackAll(data.equity);
  const place = document.getElementById("equity");
  const brief = equity.t.length > 0 && equity.t[equity.t.length - 1] - equity.t[0] < 3600;
  let plots = [];
  function panel(height, title, series, values, format) {
    const sync = { key: "equity", setSeries: false };
    const axis = { stroke: css("--soft"), grid: { stroke: css("--faint"), width: 1 }, ticks: { stroke: css("--faint") } };
    return new uPlot({
      width: place.clientWidth, height, padding: [8, 36, title === "last" ? 0 : 8, 0],
      tzDate: (t) => uPlot.tzDate(new Date(t * 1000), "Etc/UTC"),
      cursor: { sync, points: { size: 6 }, drag: { x: true, y: false } }, legend: { live: true },
      scales: { x: { time: true } },
      axes: [{ ...axis, show: title === "last", space: 110, values: dates }, { ...axis, size: 74, space: 26, values: (u, ticks) => ticks.map(format) }],
      series: [{ label: "UTC", value: (u, t) => (t == null ? "–" : utc(t, brief ? 19 : 16)) }, ...series],
    }, [equity.t, ...values], place);
  }
  function drawEquity() {
    plots.forEach((plot) => plot.destroy());
    if (!equity.t.length) return;
    const percent = (v) => (v == null ? "–" : amount(v * 100, 2) + " %");
    const fine = (values) => { const most = values.reduce((a, v) => Math.max(a, Math.abs(v)), 0) / 1e6; return most < 0.001 ? 3 : most < 0.01 ? 2 : 1; };
    const small = (digits) => (v) => (v == null ? "" : amount(v * 100, digits) + " %");
    const money = (v) => amount(v, 2);
    const line = (label, stroke, value, more = {}) => ({ label, stroke, width: 1.5, value: (u, v) => value(v), points: { show: false }, ...more });
    plots = [
      panel(280, "", [line("Equity", css("--accent"), money), line("Buy and hold", css("--market"), money, { width: 1, dash: [5, 4] })],
        [equity.nav.map((v) => v / 100), equity.market.map((v) => v / 100)], (v) => amount(v, 0)),
      panel(120, "", [line("Drawdown", css("--down"), percent, { fill: css("--down") + "33", width: 1 })],
        [equity.drawdown.map((v) => v / 1e6)], small(fine(equity.drawdown))),
      panel(140, "last", [line("Gross exposure", css("--veto"), percent, { width: 1, fill: css("--veto") + "22" }), line("Net", css("--accent"), percent, { width: 1 })],
        [equity.gross.map((v) => v / 1e6), equity.net.map((v) => v / 1e6)], small(fine(equity.gross))),
    ];
  }

  /* Price of one symbol with its fills. */
  const select = document.getElementById("symbol"), readout = document.getElementById("bar"), box = document.getElementById("price");
  const loaded = new Map();
  let chart = null, candles = null, marks = null, shown = null;
  async function load(i) {
    if (loaded.has(i)) return loaded.get(i);
    const symbol = data.symbols[i];
    const made = { symbol, bars: [], fills: new Map(), vetoes: new Map(), gaps: [], at: new Map() };
    if (symbol.bars) {
      const [bars, fills, vetoes] = await Promise.all([unpackAll(symbol.bars), unpackAll(symbol.fills), unpackAll(symbol.vetoes)]);
      made.bars = bars.t.map((time, k) => {
        const close = bars.c[k], open = close + bars.o[k];
        const price = (ticks) => ticks * symbol.tick;
        return { time, open: price(open), close: price(close), high: price(Math.max(open, close) + bars.h[k]), low: price(Math.min(open, close) - bars.l[k]) };
      });
      made.at = new Map(bars.t.map((time, k) => [time, k]));
      fills.bar.forEach((bar, k) => {
        const kind = fills.kind[k];
        const fill = { buy: kind >= 4, entry: (kind & 2) > 0, maker: (kind & 1) > 0, n: fills.n[k], price: fills.price[k] * symbol.tick, usd: fills.usd[k] / 100 };
        made.fills.set(bar, [...(made.fills.get(bar) || []), fill]);
      });
      vetoes.bar.forEach((bar, k) => made.vetoes.set(bar, vetoes.n[k]));
      made.gaps = await unpack(symbol.gaps);
    }
    loaded.set(i, made);
    return made;
  }
  function markers(made) {
    const list = [];
    for (const [bar, fills] of made.fills)
      for (const fill of fills)
        list.push({
          time: made.bars[bar].time, position: fill.buy ? "belowBar" : "aboveBar", size: 1,
          shape: fill.entry ? (fill.buy ? "arrowUp" : "arrowDown") : "square",
          color: css(fill.maker ? (fill.buy ? "--maker-up" : "--maker-down") : fill.buy ? "--up" : "--down"),
        });
    if (document.getElementById("refused").checked)
      for (const bar of made.vetoes.keys()) list.push({ time: made.bars[bar].time, position: "aboveBar", shape: "circle", size: 0.4, color: css("--veto") });
    for (const bar of made.gaps) list.push({ time: made.bars[bar].time, position: "inBar", shape: "circle", size: 1, color: css("--soft"), text: "book broken" });
    return list.sort((a, b) => a.time - b.time);
  }
  function describe(made, bar) {
    const row = made.bars[bar], price = (v) => amount(v, made.symbol.digits);
    if (!row) return "";
    const parts = [`${utc(row.time, made.symbol.seconds < 60 ? 19 : 16)} UTC  O ${price(row.open)}  H ${price(row.high)}  L ${price(row.low)}  C ${price(row.close)}`];
    for (const fill of made.fills.get(bar) || [])
      parts.push(`${fill.n} × ${fill.buy ? "buy" : "sell"} to ${fill.entry ? "open" : "close"} at ${price(fill.price)}, ${amount(fill.usd, 0)} notional, ${fill.maker ? "maker" : "taker"}`);
    if (made.vetoes.has(bar)) parts.push(`${made.vetoes.get(bar)} refused`);
    return parts.join("  ·  ");
  }
  const recent = () => {
    const n = shown.bars.length;
    chart.timeScale().setVisibleLogicalRange({ from: Math.max(-0.5, n - 300), to: n + 2 });
  };
  async function drawPrice() {
    shown = await load(Number(select.value));
    if (chart) chart.remove();
    box.style.display = shown.bars.length ? "" : "none";
    chart = null;
    readout.textContent = shown.bars.length ? "" : "No bars.";
    if (!shown.bars.length) return;
    const L = LightweightCharts;
    chart = L.createChart(box, {
      autoSize: true, width: box.clientWidth, height: box.clientHeight, layout: { background: { color: css("--card") }, textColor: css("--soft"), fontFamily: "system-ui, sans-serif" },
      grid: { vertLines: { color: css("--faint") }, horzLines: { color: css("--faint") } }, crosshair: { mode: L.CrosshairMode.Normal },
      timeScale: { timeVisible: shown.symbol.seconds < 86400, secondsVisible: shown.symbol.seconds < 60, borderColor: css("--line"), minBarSpacing: 0.05 },
      rightPriceScale: { borderColor: css("--line") }, localization: { locale: "en-GB" },
    });
    candles = chart.addSeries(L.CandlestickSeries, {
      upColor: css("--up"), downColor: css("--down"), wickUpColor: css("--up"), wickDownColor: css("--down"), borderVisible: false,
      priceLineVisible: false, lastValueVisible: false,
      priceFormat: { type: "price", precision: Math.min(shown.symbol.digits, 10), minMove: shown.symbol.tick || 0.01 },
    });
    candles.setData(shown.bars);
    marks = L.createSeriesMarkers(candles, markers(shown));
    recent();
    const seconds = shown.symbol.seconds;
    const length = seconds % 86400 === 0 ? `${seconds / 86400} d` : seconds % 3600 === 0 ? `${seconds / 3600} h` : seconds % 60 === 0 ? `${seconds / 60} min` : `${seconds} s`;
    readout.textContent = `One bar shown is ${length}. Point at a bar for its fills.`;
    chart.subscribeCrosshairMove((event) => {
      if (event.time !== undefined && shown.at.has(event.time)) readout.textContent = describe(shown, shown.at.get(event.time));
    });
  }

  /* Tables sort by the column that is clicked. */
  for (const table of document.querySelectorAll("table.sortable"))
    table.tHead.addEventListener("click", (event) => {
      const head = event.target.closest("th"), column = head.cellIndex, body = table.tBodies[0];
      const down = head.getAttribute("aria-sort") !== "descending";
      const value = (row) => (column ? parseFloat(row.cells[column].dataset.value) : row.cells[0].textContent);
      const order = (a, b) => {
        const x = value(a), y = value(b);
        if (typeof x === "string") return down ? x.localeCompare(y) : y.localeCompare(x);
        return (isNaN(x) - isNaN(y)) || (down ? y - x : x - y);
      };
      for (const each of table.tHead.rows[0].cells) each.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      body.append(...[...body.rows].sort(order));
    });

  async function drawAll() { drawEquity(); await drawPrice(); }
  select.addEventListener("change", drawPrice);
  document.getElementById("all").addEventListener("click", () => chart && chart.timeScale().fitContent());
  document.getElementById("recent").addEventListener("click", () => chart && recent());
  document.getElementById("refused").addEventListener("change", () => marks && marks.setMarkers(markers(shown)));
  document.getElementById("theme").addEventListener("click", async () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    await drawAll();
  });
  addEventListener("resize", () => plots.forEach((plot) => plot.setSize({ width: place.clientWidth, height: plot.height })));
  await drawAll();
  document.documentElement.dataset.ready = "1";
})();
