// The cells of a sweep one by one: a table that sorts and filters, parallel coordinates linked with it, and of each
// cell its loss and its output over the plane. It makes no request and keeps nothing, so that it works in a frame with
// sandbox="allow-scripts"; whatever it shows of its data it sets as text.
"use strict";
(() => {
  const ROWS = 50; // of a page of the table
  const MOST_LEVELS = 40; // of a column with a list to choose from
  const MOST_AXES = 10;
  const MOST_LABELS = 12; // of an axis
  const INFINITE = 254, TOP = 253; // see cells.py
  const NO_ANSWER = 255;
  const ARRAYS = { u1: Uint8Array, u2: Uint16Array, u4: Uint32Array, i1: Int8Array, f4: Float32Array };
  const LINES = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#56B4E9", "#E69F00", "#7F7F7F"];
  const CIVIDIS = ["00224e", "123570", "3b496c", "575d6d", "707173", "8a8678", "a59c74", "c3b369", "e1cc55", "fee838"];
  const SOLVED = [0, 114, 178], FAILED = [230, 159, 0]; // dark and light: they differ in black and white too

  // ---- the data ----

  const source = document.querySelector("script.cells");
  const root = document.querySelector("div.explorer");
  if (!source || !root) return;
  const data = JSON.parse(source.textContent);

  function unpacked({ type, data }) {
    const text = atob(data), bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
    return new ARRAYS[type](bytes.buffer);
  }

  const columns = data.columns.map((column) => ({ ...column, values: unpacked(column) }));
  const verdicts = data.verdicts.map((verdict) => ({ name: verdict.name, counts: unpacked(verdict) }));
  const low = unpacked(data.low), high = unpacked(data.high);
  const count = low.length;
  const networks = Array.from({ length: count }, (_, row) => verdicts.reduce((sum, v) => sum + v.counts[row], 0));
  const commonest = Array.from({ length: count }, (_, row) =>
    verdicts.reduce((best, v, i) => (v.counts[row] > verdicts[best].counts[row] ? i : best), 0));
  columns.push({ name: "verdict", kind: "level", levels: verdicts.map((v) => v.name), values: commonest });
  const rate = columns.find((column) => column.kind === "rate");
  const number = columns[0].values;

  for (const column of columns) {
    if (column.kind !== "level") continue;
    const order = column.levels.map((_, i) => i);
    if (!column.numeric && column.name !== "verdict") {
      order.sort((a, b) => column.levels[a].localeCompare(column.levels[b], "en", { numeric: true }));
    }
    column.rank = [];
    order.forEach((level, place) => { column.rank[level] = place; });
  }

  const samples = data.samples; // single networks, [k] each, beside the lists that their numbers stand for
  const samplesOf = new Map();
  if (samples) {
    for (const name of ["row", "seed", "solved", "verdict", "clock", "loss", "plane", "raster"]) {
      samples[name] = unpacked(samples[name]);
    }
    samples.row.forEach((row, i) => samplesOf.set(row, [...(samplesOf.get(row) || []), i]));
  }

  // ---- values in words ----

  function percent(share) {
    if (Number.isNaN(share)) return "-";
    if (share > 0 && share < 0.01) return "<1%";
    if (share < 1 && share > 0.99) return ">99%";
    return `${Math.round(100 * share)}%`;
  }

  function figure(value) {
    if (Number.isNaN(value)) return "-";
    if (!Number.isFinite(value)) return "\u221e";
    const small = value !== 0 && Math.abs(value) < 1e-3;
    return small ? Number(value.toPrecision(3)).toExponential() : String(Number(value.toPrecision(4)));
  }

  function shown(column, row) {
    const value = column.values[row];
    if (column.kind === "level") return column.levels[value];
    if (column.kind === "time" && value === Infinity) return "never";
    return column.kind === "rate" ? percent(value) : figure(value);
  }

  function told(row) {
    const size = networks[row], solved = Math.round(rate.values[row] * size);
    const limits = `[${Math.round(100 * low[row])}-${Math.round(100 * high[row])}]`;
    const each = verdicts.filter((v) => v.counts[row])
      .map((v) => (size > 1 ? `${v.name} ${v.counts[row]} (${percent(v.counts[row] / size)})` : v.name));
    const share = `${solved} of ${size} solved = ${percent(rate.values[row])} ${limits}`;
    return `cell ${number[row]}: ${share}; ${each.join(", ")}`;
  }

  // ---- what is chosen ----

  const state = { words: "", choices: new Map(), ranges: new Map(), sort: columns[0], down: false, page: 0 };
  const open = new Set();
  const texts = [];
  let matching = [], matched = new Uint8Array(count);

  function rowText(row) {
    texts[row] ??= [`cell ${number[row]}`, ...columns.filter((c) => c.kind === "level").map((c) => shown(c, row)),
      ...verdicts.filter((v) => v.counts[row]).map((v) => v.name)].join("\n").toLowerCase();
    return texts[row];
  }

  // A word is looked for in the row's text; name<value, with <=, >=, > and = too, compares a column.
  function test(word) {
    const parts = /^(.+?)(<=|>=|<|>|=)(.+)$/.exec(word);
    const named = parts && columns.find((column) => column.name.toLowerCase().replaceAll(" ", "_") === parts[1]);
    if (!named) return (row) => rowText(row).includes(word);
    const limit = parts[3].endsWith("%") ? parseFloat(parts[3]) / 100 : Number(parts[3]);
    const value = (row) => (named.kind === "level" ? Number(named.levels[named.values[row]]) : named.values[row]);
    return {
      "<": (row) => value(row) < limit, ">": (row) => value(row) > limit,
      "<=": (row) => value(row) <= limit, ">=": (row) => value(row) >= limit,
      "=": (row) => shown(named, row).toLowerCase() === parts[3] || value(row) === limit,
    }[parts[2]];
  }

  function key(column, row) {
    const value = column.values[row];
    return column.kind === "level" ? column.rank[value] : Number.isNaN(value) ? Infinity : value;
  }

  function choose() {
    const tests = state.words.toLowerCase().split(/\s+/).filter(Boolean).map(test);
    state.choices.forEach((level, column) => tests.push((row) => column.values[row] === level));
    state.ranges.forEach(([from, to], axis) => tests.push((row) => {
      const at = axis.places[row];
      return at >= from && at <= to;
    }));
    matching = [];
    for (let row = 0; row < count; row++) {
      matched[row] = tests.every((passes) => passes(row)) ? 1 : 0;
      if (matched[row]) matching.push(row);
    }
    const sign = state.down ? -1 : 1;
    matching.sort((a, b) => {
      const x = key(state.sort, a), y = key(state.sort, b);
      return x < y ? -sign : x > y ? sign : a - b;
    });
    state.page = Math.min(state.page, Math.max(0, Math.ceil(matching.length / ROWS) - 1));
  }

  // ---- elements ----

  function element(name, attributes = {}, ...inner) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
      else made.setAttribute(key, value);
    }
    made.append(...inner);
    return made;
  }

  function drawn(name, attributes = {}, text = "") {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.textContent = text;
    return made;
  }

  const status = element("p", { role: "status", class: "status" });
  const chips = element("p", { class: "chips" });
  const tip = element("div", { role: "tooltip", id: "tip", class: "tip", hidden: "" });
  const canvas = element("canvas", { role: "img", class: "lines" });
  const body = element("tbody");
  const pager = element("p", { class: "pager" });

  function reset(page = 0) {
    state.page = page;
    choose();
    render();
  }

  function render() {
    renderStatus();
    renderRows();
    drawLines();
  }

  function renderStatus() {
    let of = 0, solved = 0;
    for (const row of matching) {
      of += networks[row];
      solved += Math.round(rate.values[row] * networks[row]);
    }
    const share = of ? ` = ${percent(solved / of)}` : "";
    status.textContent = `${matching.length} of ${count} cells; ${solved} of their ${of} networks solved${share}`;
    const said = [...state.ranges].map(([axis, range]) =>
      element("button", { type: "button", onclick: () => { state.ranges.delete(axis); reset(); } },
        `${axis.column.name}: ${axis.words(range)} \u2715`));
    if (said.length || state.choices.size || state.words) {
      said.push(element("button", { type: "button", onclick: clear }, "show all"));
    }
    chips.replaceChildren(...said);
  }

  function clear() {
    state.words = box.value = "";
    state.choices.clear();
    state.ranges.clear();
    root.querySelectorAll("select").forEach((select) => { select.value = ""; });
    reset();
    box.focus();
  }

  // ---- the table ----

  const side = (column) => (column.kind === "level" && !column.numeric ? { class: "word" } : {});
  const sides = columns.map(side);
  const heads = columns.map((column) => {
    const button = element("button", { type: "button", onclick: () => sortBy(column) }, column.name);
    return element("th", { ...side(column), scope: "col", "aria-sort": "none" }, button);
  });
  const chooses = columns.map((column) => {
    if (column.kind !== "level" || column.levels.length < 2 || column.levels.length > MOST_LEVELS) return element("td");
    const byRank = column.levels.map((_, level) => level).sort((a, b) => column.rank[a] - column.rank[b]);
    const options = byRank.map((level) => element("option", { value: level }, column.levels[level]));
    return element("td", side(column), element("select", {
      "aria-label": `only cells with ${column.name}`,
      onchange: ({ target }) => {
        if (target.value === "") state.choices.delete(column);
        else state.choices.set(column, Number(target.value));
        reset();
      },
    }, element("option", { value: "" }, "all"), ...options));
  });

  function sortBy(column) {
    state.down = state.sort === column && !state.down;
    state.sort = column;
    reset();
  }

  function renderRows() {
    heads.forEach((head, i) => head.setAttribute("aria-sort",
      columns[i] !== state.sort ? "none" : state.down ? "descending" : "ascending"));
    const rows = [];
    for (const row of matching.slice(state.page * ROWS, (state.page + 1) * ROWS)) {
      rows.push(tableRow(row));
      if (open.has(row)) rows.push(detailRow(row));
    }
    body.replaceChildren(...rows);
    const pages = Math.max(1, Math.ceil(matching.length / ROWS));
    const turn = (by, word) => {
      const button = element("button", { type: "button", onclick: () => reset(state.page + by) }, word);
      button.disabled = state.page + by < 0 || state.page + by >= pages;
      return button;
    };
    pager.replaceChildren(turn(-1, "previous"), ` page ${state.page + 1} of ${pages} `, turn(1, "next"));
  }

  function tableRow(row) {
    const cells = columns.map((column, i) => element("td", sides[i], i ? shown(column, row) : element("button", {
      type: "button", "aria-expanded": open.has(row), "aria-describedby": "tip", "aria-label": `cell ${number[row]}`,
      onfocus: ({ target }) => point(row, target.getBoundingClientRect()), onblur: () => point(null),
    }, shown(column, row))));
    return element("tr", {
      "data-row": row, onclick: () => toggle(row),
      onmouseenter: ({ clientX, clientY }) => point(row, { left: clientX, bottom: clientY }),
      onmousemove: ({ clientX, clientY }) => place({ left: clientX, bottom: clientY }),
      onmouseleave: () => point(null),
    }, ...cells);
  }

  function toggle(row) {
    if (!open.delete(row)) open.add(row);
    renderRows();
    body.querySelector(`tr[data-row="${row}"] button`)?.focus({ preventScroll: true });
  }

  function show(row) {
    open.add(row);
    state.page = Math.floor(matching.indexOf(row) / ROWS);
    renderRows();
    const button = body.querySelector(`tr[data-row="${row}"] button`);
    button.focus({ preventScroll: true });
    button.scrollIntoView({ block: "center" });
  }

  // ---- hover ----

  let pointed = null;

  function point(row, at) {
    if (row !== pointed) {
      pointed = row;
      drawPointed();
    }
    tip.hidden = row === null;
    if (row === null) return;
    tip.textContent = told(row);
    place(at);
  }

  function place({ left, bottom }) {
    const most = document.documentElement.clientWidth - tip.offsetWidth - 8;
    tip.style.left = `${Math.max(4, Math.min(left + 14, most))}px`;
    const below = bottom + 14 + tip.offsetHeight < window.innerHeight;
    tip.style.top = `${below ? bottom + 14 : bottom - tip.offsetHeight - 34}px`;
  }

  // ---- parallel coordinates ----

  function axisOf(column) {
    const places = new Float32Array(count);
    if (column.kind === "level") {
      const last = Math.max(1, column.levels.length - 1);
      for (let row = 0; row < count; row++) places[row] = column.rank[column.values[row]] / last;
      const names = [];
      column.levels.forEach((level, i) => { names[column.rank[i]] = level; });
      const ticks = few(names.map((name, i) => [i / last, name]));
      const words = ([from, to]) => {
        const inside = names.filter((_, i) => i / last >= from && i / last <= to);
        return inside.length > 1 ? `${inside[0]} to ${inside[inside.length - 1]}` : inside[0] ?? "none";
      };
      return { column, places, ticks, words, levels: names.length };
    }
    const log = column.name === "final loss";
    const usable = column.values.filter((value) => Number.isFinite(value) && (!log || value > 0));
    const from = column.kind === "rate" ? 0 : usable.reduce((a, b) => Math.min(a, b), Infinity);
    const to = column.kind === "rate" ? 1 : usable.reduce((a, b) => Math.max(a, b), -Infinity);
    const scale = log ? Math.log : (value) => value, back = log ? Math.exp : (value) => value;
    const width = scale(to) - scale(from) || 1;
    for (let row = 0; row < count; row++) {
      const at = (scale(column.values[row]) - scale(from)) / width;
      places[row] = column.values[row] === Infinity || Number.isNaN(at) ? 1 : Math.min(1, Math.max(0, at));
    }
    const text = (place) => {
      const value = back(scale(from) + place * width);
      return column.kind === "rate" ? percent(value) : figure(Number(value.toPrecision(2)));
    };
    const ticks = usable.length || column.kind === "rate" ? [0, 0.25, 0.5, 0.75, 1].map((at) => [at, text(at)]) : [];
    return { column, places, ticks, words: ([a, b]) => `${text(a)} to ${text(b)}`, levels: 0 };
  }

  function few(ticks) {
    const every = Math.ceil(ticks.length / MOST_LABELS);
    return ticks.filter((_, i) => i % every === 0);
  }

  const axes = columns.filter((column) => (column.kind === "level" && column.levels.length > 1) || column === rate ||
    column.name === "final loss").slice(-MOST_AXES).map(axisOf);
  const frame = { top: 34, bottom: 14, left: 20, right: 90, height: 300, width: 0 };
  const back = document.createElement("canvas"); // what does not change while the pointer moves

  const across = (i) => frame.left + (i * (frame.width - frame.left - frame.right)) / Math.max(1, axes.length - 1);
  const up = (at) => frame.height - frame.bottom - at * (frame.height - frame.top - frame.bottom);

  // Cells of the same levels lie beside each other, by their number, so that many look like many.
  function height(axis, row) {
    const apart = axis.levels > 1 ? Math.min(0.03, 0.3 / axis.levels) : 0;
    return up(axis.places[row] + apart * (((row * 0.618034) % 1) - 0.5) * 2);
  }

  function colour(share, alpha = 1) {
    const mixed = SOLVED.map((value, i) => Math.round(value * share + FAILED[i] * (1 - share)));
    return `rgba(${mixed.join(",")},${alpha})`;
  }

  function path(context, row) {
    context.moveTo(across(0), height(axes[0], row));
    for (let i = 1; i < axes.length; i++) context.lineTo(across(i), height(axes[i], row));
  }

  function drawLines() {
    frame.width = Math.max(320, root.clientWidth);
    const dense = window.devicePixelRatio || 1;
    for (const one of [canvas, back]) {
      one.width = frame.width * dense;
      one.height = frame.height * dense;
    }
    canvas.style.width = `${frame.width}px`;
    canvas.style.height = `${frame.height}px`;
    const context = back.getContext("2d");
    context.scale(dense, dense);
    if (matching.length < count) {
      context.strokeStyle = "#e4e4e4";
      context.beginPath();
      for (let row = 0; row < count; row++) if (!matched[row]) path(context, row);
      context.stroke();
    }
    const alpha = Math.min(0.9, Math.max(0.06, 40 / Math.max(1, matching.length)));
    for (const row of matching) {
      context.strokeStyle = colour(rate.values[row] || 0, alpha);
      context.beginPath();
      path(context, row);
      context.stroke();
    }
    axes.forEach((axis, i) => drawAxis(context, axis, across(i)));
    drawPointed();
  }

  function drawAxis(context, axis, x) {
    context.strokeStyle = context.fillStyle = "#1a1a1a";
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(x, up(0));
    context.lineTo(x, up(1));
    context.stroke();
    context.font = "bold 12px system-ui, sans-serif";
    const room = axes.length > 1 ? across(1) - across(0) - 12 : 200;
    context.fillText(cut(context, axis.column.name, room), x - 8, 14);
    context.font = "11px system-ui, sans-serif";
    context.strokeStyle = "rgba(255,255,255,.9)";
    context.lineWidth = 3;
    for (const [at, name] of axis.ticks) {
      context.strokeText(cut(context, name, room), x + 5, up(at) + 4);
      context.fillText(cut(context, name, room), x + 5, up(at) + 4);
    }
    context.lineWidth = 1;
    const range = state.ranges.get(axis);
    if (!range) return;
    context.fillStyle = "rgba(0,0,0,.18)";
    context.strokeStyle = "#1a1a1a";
    context.fillRect(x - 7, up(range[1]), 14, up(range[0]) - up(range[1]));
    context.strokeRect(x - 7, up(range[1]), 14, up(range[0]) - up(range[1]));
  }

  function cut(context, text, room) {
    const fits = (words) => context.measureText(words).width <= room;
    const letters = [...text];
    if (fits(text)) return text;
    while (letters.length > 1 && !fits(`${letters.join("")}\u2026`)) letters.pop();
    return `${letters.join("")}\u2026`;
  }

  function drawPointed() {
    const context = canvas.getContext("2d"), dense = canvas.width / frame.width;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.drawImage(back, 0, 0);
    if (pointed === null) return;
    context.scale(dense, dense);
    for (const [width, stroke] of [[6, "white"], [3, "black"]]) {
      context.lineWidth = width;
      context.strokeStyle = stroke;
      context.beginPath();
      path(context, pointed);
      context.stroke();
    }
  }

  function nearest(x, y) {
    let i = 0;
    while (i < axes.length - 2 && x > across(i + 1)) i++;
    const along = axes.length > 1 ? Math.min(1, Math.max(0, (x - across(i)) / (across(i + 1) - across(i)))) : 0;
    const next = axes[Math.min(i + 1, axes.length - 1)];
    let best = null, least = 8;
    for (const row of matching) {
      const apart = Math.abs(height(axes[i], row) * (1 - along) + height(next, row) * along - y);
      if (apart < least) [best, least] = [row, apart];
    }
    return best;
  }

  let brush = null, waits = false;

  function position(event) {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  const share = (y) => Math.min(1, Math.max(0, (up(0) - y) / (up(0) - up(1))));

  canvas.addEventListener("pointerdown", (event) => {
    if (event.pointerType === "touch") return; // it scrolls the page
    const [x, y] = position(event);
    const axis = axes.find((_, i) => Math.abs(across(i) - x) < 14);
    if (!axis) return;
    brush = { axis, from: share(y), moved: false };
    canvas.setPointerCapture(event.pointerId);
    event.preventDefault();
  });

  canvas.addEventListener("pointermove", (event) => {
    const [x, y] = position(event);
    canvas.style.cursor = axes.some((_, i) => Math.abs(across(i) - x) < 14) ? "ns-resize" : "pointer";
    if (!brush) {
      const row = nearest(x, y);
      point(row, { left: event.clientX, bottom: event.clientY });
      return;
    }
    const to = share(y);
    brush.moved ||= Math.abs(to - brush.from) > 0.02;
    if (!brush.moved) return;
    state.ranges.set(brush.axis, [Math.min(brush.from, to), Math.max(brush.from, to)]);
    if (waits) return;
    waits = true;
    requestAnimationFrame(() => { waits = false; reset(); });
  });

  canvas.addEventListener("pointerup", (event) => {
    const done = brush;
    brush = null;
    if (done && (done.moved || state.ranges.delete(done.axis))) reset();
    else if (!done) {
      const row = nearest(...position(event));
      if (row !== null) show(row);
    }
  });
  canvas.addEventListener("pointerleave", () => point(null));
  canvas.addEventListener("pointercancel", () => { brush = null; });

  // ---- the details of a cell ----

  function detailRow(row) {
    const these = samplesOf.get(row) || [];
    const planes = these.filter((i) => samples.plane[i] >= 0);
    const pictures = these.length
      ? element("div", { class: "pictures" }, lossFigure(these), ...planes.map(surfaceFigure))
      : "No network of this cell is kept in this page.";
    return element("tr", { class: "detail" },
      element("td", { colspan: columns.length }, element("p", {}, told(row)), pictures, playLine(row)));
  }

  function playLine(row) {
    if (!data.play) return "";
    const command = element("code", {}, data.play.replace("{}", number[row]));
    const copied = element("span", { role: "status" });
    const copy = () => {
      getSelection().selectAllChildren(command);
      copied.textContent = document.execCommand("copy") ? " copied" : " selected: copy it with the keyboard";
    };
    return element("p", { class: "play" }, "To see each of its networks and train them in the browser: ", command, " ",
      element("button", { type: "button", onclick: copy }, "copy"), copied);
  }

  function nameOf(i) {
    const verdict = samples.verdicts[samples.verdict[i]] || (samples.solved[i] ? "solved" : "not solved");
    return `seed ${samples.seed[i]}, ${verdict}`;
  }

  function lossOf(i) {
    return samples.clocks[samples.clock[i]].map((step, t) => {
      const code = samples.loss[i * samples.points + t];
      return [step, code >= INFINITE ? NaN : samples.low * (samples.high / samples.low) ** (code / TOP)];
    });
  }

  function lossFigure(these) {
    const width = 420, height = 230, left = 56, right = 20, top = 8, bottom = 34;
    const lines = these.map(lossOf);
    const points = lines.flat();
    const finite = points.map(([, loss]) => loss).filter(Number.isFinite);
    const last = points.reduce((most, [step]) => Math.max(most, step), 1);
    const from = Math.floor(Math.log10(finite.reduce((a, b) => Math.min(a, b), finite.length ? Infinity : 0.1)));
    const to = Math.max(from + 1, Math.ceil(Math.log10(finite.reduce((a, b) => Math.max(a, b), 0.1))));
    const x = (step) => left + ((width - left - right) * Math.log1p(step)) / Math.log1p(last);
    const y = (loss) => top + ((height - top - bottom) * (to - Math.log10(loss))) / (to - from);
    const ends = lines.map((line, n) => `${nameOf(these[n])}: ${figure(line[line.length - 1][1])}`).join("; ");
    const label = `Loss; at the end ${ends}`;
    const svg = drawn("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": label });
    const every = Math.ceil((to - from) / 6);
    for (let decade = from; decade <= to; decade += every) {
      const at = y(10 ** decade);
      svg.append(drawn("line", { x1: left, x2: width - right, y1: at, y2: at, stroke: "#ddd" }));
      svg.append(drawn("text", { x: left - 6, y: at + 4, "text-anchor": "end" }, figure(10 ** decade)));
    }
    const decades = [0, ...Array.from({ length: 9 }, (_, i) => 10 ** i)].filter((step) => step <= last);
    for (const step of decades) {
      svg.append(drawn("text", { x: x(step), y: height - bottom + 15, "text-anchor": "middle" }, figure(step)));
    }
    svg.append(drawn("text", { x: (left + width - right) / 2, y: height - 4, "text-anchor": "middle" }, "updates"));
    lines.forEach((line, n) => {
      let pen = "M";
      const way = line.map(([step, loss]) => {
        if (!Number.isFinite(loss)) { pen = "M"; return ""; }
        const part = `${pen}${x(step).toFixed(1)},${y(loss).toFixed(1)}`;
        pen = "L";
        return part;
      }).join("");
      const pattern = samples.solved[these[n]] ? "none" : "6 3";
      const pencil = { stroke: LINES[n % LINES.length], "stroke-width": 2, "stroke-dasharray": pattern };
      svg.append(drawn("path", { d: way, fill: "none", ...pencil }));
    });
    const names = these.map((i, n) => {
      const swatch = element("span", { class: "swatch", "aria-hidden": "true" });
      swatch.style.borderTop = `3px ${samples.solved[i] ? "solid" : "dashed"} ${LINES[n % LINES.length]}`;
      return element("span", {}, swatch, nameOf(i));
    });
    return element("figure", {}, svg, element("figcaption", {}, "Loss: ", ...names));
  }

  function shade(share) {
    const at = Math.min(1, Math.max(0, share)) * (CIVIDIS.length - 1);
    const i = Math.min(CIVIDIS.length - 2, Math.floor(at));
    const part = (hex, n) => parseInt(hex.slice(2 * n, 2 * n + 2), 16);
    return [0, 1, 2].map((n) => Math.round(part(CIVIDIS[i], n) * (i + 1 - at) + part(CIVIDIS[i + 1], n) * (at - i)));
  }

  // The output at a place of the raster, 0 to 1: between its numbers, or that of the nearest where they are classes.
  function outputAt(i, plane, x, y) {
    const side = samples.side, first = i * side * side;
    const at = (row, column) => samples.raster[first + row * side + column];
    if (plane.classes > 2) {
      const code = at(Math.round(y), Math.round(x));
      return code === NO_ANSWER ? NaN : code / (plane.classes - 1);
    }
    const left = Math.min(side - 2, Math.floor(x)), low = Math.min(side - 2, Math.floor(y)), u = x - left, v = y - low;
    const corners = [at(low, left), at(low, left + 1), at(low + 1, left), at(low + 1, left + 1)];
    if (corners.includes(NO_ANSWER)) return NaN;
    return ((corners[0] * (1 - u) + corners[1] * u) * (1 - v) + (corners[2] * (1 - u) + corners[3] * u) * v) / 254;
  }

  function surfaceFigure(i) {
    const size = 170, plane = samples.planes[samples.plane[i]];
    const [left, right, bottom, top] = plane.box, binary = plane.classes === 2;
    const label = `Output over the inputs, ${nameOf(i)}`;
    const made = element("canvas", { width: size, height: size, role: "img", "aria-label": label });
    const context = made.getContext("2d"), image = context.createImageData(size, size), values = [];
    for (let y = 0; y < size; y++) {
      for (let x = 0; x < size; x++) {
        const scale = (samples.side - 1) / (size - 1);
        values.push(outputAt(i, plane, x * scale, (size - 1 - y) * scale));
      }
    }
    values.forEach((value, at) => {
      const beside = [at % size ? values[at - 1] : value, at >= size ? values[at - size] : value];
      const edge = binary && beside.some((other) => (other < 0.5) !== (value < 0.5));
      const pixel = Number.isNaN(value) ? [225, 225, 225] : edge ? [255, 255, 255] : shade(value);
      image.data.set([...pixel, 255], 4 * at);
    });
    context.putImageData(image, 0, 0);
    for (const [x, y, target] of plane.rows) {
      const meant = plane.classes > 2 ? target / (plane.classes - 1) : (target - plane.low) / (plane.high - plane.low);
      const px = ((x - left) / (right - left)) * (size - 1), py = ((top - y) / (top - bottom)) * (size - 1);
      const radius = plane.rows.length > 20 ? 2.5 : 5, one = meant > 0.5;
      context.fillStyle = !binary ? `rgb(${shade(meant).join(",")})` : one ? "white" : "black";
      context.strokeStyle = binary && !one ? "white" : "black";
      context.beginPath();
      if (binary && !one) context.rect(px - radius, py - radius, 2 * radius, 2 * radius);
      else context.arc(px, py, radius, 0, 7);
      context.fill();
      context.stroke();
    }
    return element("figure", {}, made, element("figcaption", {}, nameOf(i)));
  }

  // ---- the page ----

  const box = element("input", {
    type: "search", id: "filter", autocomplete: "off", spellcheck: "false",
    oninput: () => { state.words = box.value; reset(); },
  });
  const hint = "words that a cell must have, as: relu dead_units; or comparisons, as: solved>0.5 final_loss<=0.01";
  const table = element("table", {}, element("caption", {},
    "A click on a head sorts by it; a click on a cell opens its loss and its output over the inputs."),
  element("thead", {}, element("tr", {}, ...heads), element("tr", { class: "choices" }, ...chooses)), body);
  const shownAxes = axes.map((axis) => axis.column.name).join(", ");
  canvas.setAttribute("aria-label", `Parallel coordinates of ${shownAxes}: a line a cell, darker the more of its `
    + "networks solved. The filter and the lists in the table choose what is shown here too.");
  root.append(
    element("p", { class: "filter" }, element("label", { for: "filter" }, "Filter "), box,
      element("span", { class: "hint" }, hint)),
    status, chips, canvas,
    element("p", { class: "hint" }, "A line is a cell: blue where all of its networks solved, orange where none did. "
      + "Drag along an axis to choose a part of it, click on it to choose all; click on a line to open its cell."),
    element("div", { class: "wide" }, table), pager, tip,
  );
  root.hidden = false;
  choose();
  render();
  // the same table for those without a script
  document.querySelectorAll(".still > div, .still > .more").forEach((part) => { part.hidden = true; });
  window.addEventListener("resize", drawLines);
})();
