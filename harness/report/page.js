"use strict";
(() => {
  const { row: ROW, figures, entrants } = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement;
  const NARROW = 560;
  const PRINTED = 690;
  // Plotly's own buttons lie on marks: those of ours are below a figure.
  const CONFIG = { displaylogo: false, showTips: false, displayModeBar: false };
  const plots = [...document.querySelectorAll(".plot")];
  const state = new Map(plots.map((div) => [div, { near: false, stale: true }]));
  let shown = new Set(entrants.keys());
  let printing = false;

  // Storage is refused to files in some browsers: the choice then lasts as long as the page.
  const stored = (value) => {
    try {
      if (value !== undefined) localStorage.setItem("lenet-bench-theme", value);
      return localStorage.getItem("lenet-bench-theme");
    } catch { return null; }
  };

  const pick = (values, places) => (Array.isArray(values) ? places.map((place) => values[place]) : values);

  function traceOf(trace) {
    const of = trace.meta || {};
    if (of.entrant !== undefined) return shown.has(of.entrant) ? structuredClone(trace) : null;
    const copy = structuredClone(trace);
    if (of.entrants) {
      const places = [...of.entrants.keys()].filter((place) => shown.has(of.entrants[place]));
      if (!places.length) return null;
      for (const name of ["x", "y", "customdata"]) copy[name] = pick(copy[name], places);
    }
    return copy;
  }

  const LONGEST = 48;
  const shortened = (label) => (label.length > LONGEST ? `${label.slice(0, LONGEST - 1)}…` : label);
  // Plotly reads a few HTML tags.
  const plain = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

  // Plotly's labels have no width to be folded at.
  function folded(label, most) {
    const lines = [""];
    for (const word of label.split(" ")) {
      const last = lines.length - 1;
      if (lines[last] && lines[last].length + word.length >= most) lines.push(word);
      else lines[last] = lines[last] ? `${lines[last]} ${word}` : word;
    }
    return lines.map(plain).join("<br>");
  }

  function layoutOf(spec, width) {
    const layout = structuredClone(spec.layout);
    const style = getComputedStyle(document.body);
    const colour = (name) => style.getPropertyValue(name).trim();
    const narrow = width < NARROW;
    Object.assign(layout, {
      width, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: style.fontFamily, size: 12, color: colour("--fore") },
      hoverlabel: { namelength: 40 },
    });
    for (const name of ["xaxis", "yaxis"]) {
      Object.assign(layout[name], { gridcolor: colour("--line"), linecolor: colour("--line"), tickcolor: colour("--line") });
    }
    if (spec.rows) {
      const rows = Object.entries(layout.meta.labels).filter(([number]) => shown.has(Number(number)));
      const labels = rows.map(([, label]) => label);
      const around = layout.height - ROW * Object.keys(layout.meta.labels).length;
      const names = rows.map(([number]) => shortened(entrants[number].label));
      const texts = names.map((name) => folded(name, narrow ? 20 : LONGEST + 1));
      const lines = Math.max(1, ...texts.map((label) => label.split("<br>").length));
      layout.height = around + Math.max(ROW, 15 * lines + 6) * Math.max(labels.length, 1);
      Object.assign(layout.yaxis, {
        categoryarray: labels, range: [labels.length - 0.5, -0.5], tickmode: "array", tickvals: labels, ticktext: texts,
      });
    }
    // A finger on a figure scrolls the page.
    if (narrow) {
      layout.dragmode = false;
      layout.xaxis.title.text = folded(spec.title, 30);
    }
    const ticks = layout.xaxis.tickvals;
    const most = Math.max(2, Math.floor(width / 75));
    if (ticks && ticks.length > most) {
      const step = Math.ceil(ticks.length / most);
      const kept = [...ticks.keys()].filter((place) => place % step === 0);
      for (const name of ["tickvals", "ticktext"]) layout.xaxis[name] = pick(layout.xaxis[name], kept);
    } else if (!ticks && narrow) layout.xaxis.nticks = 5;
    return layout;
  }

  function draw(div) {
    const spec = figures[div.dataset.figure];
    const width = printing ? PRINTED : div.clientWidth;
    const traces = spec.traces.map(traceOf).filter(Boolean);
    const layout = layoutOf(spec, width);
    const fore = layout.font.color;
    for (const trace of traces) {
      if (trace.error_x) trace.error_x.color ||= fore;
      if (trace.marker && trace.marker.line && trace.mode === "markers" && trace.marker.symbol !== "line-ns-open") {
        trace.marker.line.color = String(trace.marker.symbol).endsWith("-open") ? trace.marker.color : fore;
      }
      if (trace.type === "bar") trace.marker.line.color = fore;
    }
    div.style.minHeight = `${layout.height}px`;
    state.get(div).stale = false;
    Plotly.react(div, traces, layout, CONFIG);
    if (!state.get(div).listens) listen(div);
    if (!root.dataset.drawn) performance.mark("first figure");
    root.dataset.drawn = plots.filter((each) => !state.get(each).stale).length;
  }

  function listen(div) {
    state.get(div).listens = true;
    const reset = div.closest("figure").querySelector("[data-do=reset]");
    div.on("plotly_relayout", (change) => {
      if (Object.keys(change).some((name) => name.includes(".range["))) reset.hidden = false;
      else if (Object.keys(change).some((name) => name.endsWith(".autorange"))) reset.hidden = true;
    });
    // Drawn anew, a figure is whole.
    reset.addEventListener("click", () => { Plotly.purge(div); state.get(div).listens = false; reset.hidden = true; draw(div); });
  }

  function save(div) {
    const { layout } = div;
    Plotly.downloadImage(div, { format: "svg", filename: div.dataset.figure, width: layout.width, height: layout.height });
  }

  for (const button of document.querySelectorAll("[data-do=save]")) {
    button.addEventListener("click", () => {
      const div = button.closest("figure").querySelector(".plot");
      if (state.get(div).stale) draw(div);
      save(div);
    });
  }

  // What is in sight at once, all else while nothing happens, so that no figure is empty when it is scrolled to.
  const later = window.requestIdleCallback || ((call) => setTimeout(call, 30));
  let waiting = false;
  function drawNext() {
    waiting = false;
    const next = plots.find((div) => state.get(div).stale && div.clientWidth);
    if (!next || printing) return;
    draw(next);
    drawAll();
  }
  function drawAll() {
    if (!waiting) later(drawNext);
    waiting = true;
  }

  function redraw() {
    for (const div of plots) {
      state.get(div).stale = true;
      if (state.get(div).near && div.clientWidth) draw(div);
    }
    drawAll();
  }

  const observer = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      const of = state.get(entry.target);
      of.near = entry.isIntersecting;
      if (of.near && of.stale && entry.target.clientWidth) draw(entry.target);
    }
  }, { rootMargin: "400px" });
  plots.forEach((div) => observer.observe(div));
  drawAll();

  // Paper shows all figures, as wide as a page, and is white.
  addEventListener("beforeprint", () => {
    printing = true;
    plots.filter((div) => !div.closest("[hidden]")).forEach(draw);
  });
  addEventListener("afterprint", () => { printing = false; redraw(); });
  let width = innerWidth;
  let timer = 0;
  addEventListener("resize", () => {
    if (printing || innerWidth === width) return;
    width = innerWidth;
    clearTimeout(timer);
    timer = setTimeout(redraw, 100);
  });

  const form = document.getElementById("filter");
  const rows = [...document.querySelectorAll("[data-entrants]")];

  const boxes = form ? [...form.querySelectorAll("input[type=checkbox]")] : [];

  // The choice is in the address, so that it can be passed on: ?backend=torch&name=eager.
  function remember(search) {
    const asked = new URLSearchParams();
    for (const box of boxes) if (box.checked) asked.append(box.name, box.value);
    if (search.trim()) asked.set("name", search.trim());
    const query = String(asked);
    try {
      history.replaceState(null, "", `${location.pathname}${query ? `?${query}` : ""}${location.hash}`);
    } catch { /* Some browsers let files have no other address. */ }
  }

  function recall() {
    const asked = new URLSearchParams(location.search);
    for (const box of boxes) box.checked = asked.getAll(box.name).includes(box.value);
    document.getElementById("search").value = asked.get("name") || "";
    if ([...asked].length) document.getElementById("filters").open = true;
  }

  function filter() {
    const wanted = {};
    for (const box of boxes) if (box.checked) (wanted[box.name] ||= new Set()).add(box.value);
    const search = document.getElementById("search").value;
    const words = search.toLowerCase().split(/\s+/).filter(Boolean);
    shown = new Set([...entrants.keys()].filter((number) => {
      const entrant = entrants[number];
      return Object.entries(wanted).every(([name, values]) => values.has(entrant[name]))
        && words.every((word) => entrant.label.toLowerCase().includes(word));
    }));
    for (const element of rows) element.hidden = !element.dataset.entrants.split(" ").some((number) => shown.has(Number(number)));
    document.getElementById("nothing").hidden = shown.size > 0;
    for (const figure of document.querySelectorAll("figure")) figure.hidden = !shown.size;
    document.getElementById("count").textContent = `${shown.size} of ${entrants.length} entrants shown`;
    remember(search);
    redraw();
  }

  if (form) {
    form.addEventListener("input", filter);
    form.addEventListener("submit", (event) => event.preventDefault());
    // A form's fields are empty only after this event.
    form.addEventListener("reset", () => setTimeout(filter));
    document.getElementById("all").addEventListener("click", () => form.reset());
    recall();
    filter();
  }

  const valueOf = (row, column) => {
    const { value } = row.cells[column].dataset;
    return value === undefined ? row.cells[column].textContent.trim() : value === "" ? null : Number(value);
  };

  function compare(one, other) {
    if (typeof one === "number" && typeof other === "number") return one === other ? 0 : one < other ? -1 : 1;
    return String(one).localeCompare(String(other), undefined, { numeric: true });
  }

  function sort(header) {
    const body = header.closest("table").tBodies[0];
    const column = header.cellIndex;
    const found = [...body.rows].map((row) => [row, valueOf(row, column)]);
    const figures = found.some(([, value]) => typeof value === "number");
    const first = figures ? "descending" : "ascending";
    const before = header.getAttribute("aria-sort");
    const order = before === "none" ? first : before === "descending" ? "ascending" : "descending";
    for (const each of header.parentElement.cells) each.setAttribute("aria-sort", "none");
    header.setAttribute("aria-sort", order);
    const sign = order === "ascending" ? 1 : -1;
    found.sort(([, one], [, other]) => (one === null) - (other === null) || (one === null ? 0 : sign * compare(one, other)));
    body.append(...found.map(([row]) => row));
  }

  for (const button of document.querySelectorAll("thead button")) {
    button.addEventListener("click", () => sort(button.closest("th")));
  }

  const themes = ["system", "light", "dark"];
  const toggle = document.getElementById("theme");
  let theme = themes.includes(stored()) ? stored() : "system";
  function wear() {
    if (theme === "system") delete root.dataset.theme;
    else root.dataset.theme = theme;
    toggle.textContent = `Theme: ${theme}`;
  }
  wear();
  toggle.addEventListener("click", () => {
    theme = themes[(themes.indexOf(theme) + 1) % themes.length];
    stored(theme);
    wear();
    redraw();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
})();
