"use strict";
// The timeline: reads the columns of packed.py, and draws the lanes of the part of the run that the reader chose.
(async () => {
  const section = document.getElementById("timeline");
  if (!section || !window.DecompressionStream) return; // the static picture stays
  if (document.readyState !== "complete") await new Promise((ready) => addEventListener("load", ready)); // paint first
  await new Promise((ready) => setTimeout(ready));
  const head = JSON.parse(document.getElementById("tl-head").textContent);
  const view = document.getElementById("tl-view");
  const ASLEEP = 0, USER = 5, BURST = 6, UNKNOWN = 7, KINDS = head.phases.length, BLOCK = 64;
  const HEIGHT = [0.25, 0.85, 0.85, 1, 0.85, 0.75, 0.75, 1]; // of a phase, as a part of the lane: a second sign beside the colour
  const FROM_BELOW = [BURST, USER, 4, 3, 2, 1];
  const BAND = 24, LANE = 58, FOLD = 34, AXIS = 24; // pixels

  // -- data ----------------------------------------------------------------------------------------------------------
  function decoded(text) {
    if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
    const raw = atob(text), bytes = new Uint8Array(raw.length);
    for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
    return bytes;
  }
  async function unpack(text) {
    const stream = new Blob([decoded(text.trim())]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }
  function column(bytes, length, places) {
    if (places < 2) return places ? bytes : new Uint8Array(length);
    const numbers = new (places > 4 ? Float64Array : Uint32Array)(length);
    for (let i = 0, third = 2 * length, last = 3 * length; i < length; i++) // a place that is missing reads as 0
      numbers[i] = (bytes[i] | bytes[length + i] << 8 | bytes[third + i] << 16 | bytes[last + i] << 24) >>> 0;
    for (let place = 4, factor = 2 ** 32; place < places; place++, factor *= 256)
      for (let i = 0, at = place * length; i < length; i++) if (bytes[at + i]) numbers[i] += bytes[at + i] * factor;
    return numbers;
  }
  function columns(bytes) {
    const found = {};
    let at = 0;
    for (const [name, length, places] of head.columns) {
      found[name] = column(bytes.subarray(at, at + length * places), length, places);
      at += length * places;
    }
    return found;
  }
  const signed = (number) => number % 2 ? -(number + 1) / 2 : number / 2;
  // A lane: when each segment begins, its calls, and after each BLOCK of segments the time in each phase so far.
  function lanes(data) {
    let segment = 0, call = 0, sleep = 0, message = 0;
    return head.lanes.map((about) => {
      const lane = { ...about, title: `${about.name} ${about.tid}`, call0: call };
      lane.phase = data.phase.subarray(segment, segment + about.segments);
      lane.time = new Float64Array(about.segments + 1);
      lane.sums = new Float64Array((Math.floor(about.segments / BLOCK) + 1) * KINDS);
      lane.sleep0 = new Uint32Array(Math.floor(about.segments / BLOCK) + 1);
      const sums = new Float64Array(KINDS);
      lane.time[0] = about.start * head.grain;
      for (let i = 0; i < about.segments; i++) {
        if (i % BLOCK === 0) { lane.sums.set(sums, i / BLOCK * KINDS); lane.sleep0[i / BLOCK] = sleep; }
        const length = data.length[segment + i] * head.grain;
        sums[lane.phase[i]] += length;
        lane.time[i + 1] = lane.time[i] + length;
        if (lane.phase[i] === ASLEEP && about.calls) sleep++;
      }
      if (about.segments % BLOCK === 0) lane.sums.set(sums, about.segments / BLOCK * KINDS);
      lane.first = new Uint32Array(about.calls);
      lane.parts = data.parts.subarray(call, call + about.calls);
      for (let i = 0, at = 0; i < about.calls; i++) {
        at += data.gap[call + i];
        lane.first[i] = at;
        at += lane.parts[i];
      }
      lane.ready = new Float64Array(about.messages);
      lane.copied = new Float64Array(about.messages);
      for (let i = 0, at = 0; i < about.messages; i++, message++) {
        at += signed(data.ready[message]) * head.grain;
        lane.ready[i] = at;
        lane.copied[i] = at + signed(data.copied[message]) * head.grain;
      }
      segment += about.segments; call += about.calls;
      return lane;
    });
  }
  // The index of the last number of a sorted row that is not above `value`; -1 before the first.
  function before(row, value) {
    let low = 0, high = row.length;
    while (low < high) { const half = (low + high) >> 1; if (row[half] <= value) low = half + 1; else high = half; }
    return low - 1;
  }
  const segmentAt = (lane, time) => Math.min(Math.max(before(lane.time, time), 0), lane.segments - 1);
  const callAt = (lane, segment) => before(lane.first, segment); // the last call that begins at this segment or before
  const begin = (lane, call) => lane.time[lane.first[call]];
  const end = (lane, call) => lane.time[lane.first[call] + lane.parts[call]];
  const last = (lane) => lane.time[lane.segments];
  function addUntil(lane, time, sign, into) {
    if (!lane.segments || time <= lane.time[0]) return;
    const stop = Math.min(time, last(lane)), at = segmentAt(lane, stop), block = Math.floor(at / BLOCK);
    for (let k = 0; k < KINDS; k++) into[k] += sign * lane.sums[block * KINDS + k];
    for (let i = block * BLOCK; i < at; i++) into[lane.phase[i]] += sign * (lane.time[i + 1] - lane.time[i]);
    into[lane.phase[at]] += sign * (stop - lane.time[at]);
  }
  function spent(lane, from, to, into) { addUntil(lane, to, 1, into); addUntil(lane, from, -1, into); }
  function sleepOf(lane, segment) { // its place in the columns of sleeps
    const block = Math.floor(segment / BLOCK);
    let at = lane.sleep0[block];
    for (let i = block * BLOCK; i < segment; i++) if (lane.phase[i] === ASLEEP) at++;
    return at;
  }

  // -- words ---------------------------------------------------------------------------------------------------------
  const UNITS = [[1e9, "s"], [1e6, "ms"], [1e3, "us"], [1, "ns"]];
  function duration(ns) {
    if (ns < 1000) return `${Math.round(ns)} ns`;
    const [size, unit] = UNITS.find(([size]) => ns >= size), value = ns / size;
    return `${value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)} ${unit}`;
  }
  function moment(ns, step) {
    if (!ns) return "0";
    const [size, unit] = UNITS.find(([size]) => Math.abs(ns) >= size) || [1, "ns"];
    const text = (ns / size).toFixed(Math.max(Math.ceil(Math.log10(size / Math.max(step / 10, 1))), 0));
    return `${text.includes(".") ? text.replace(/\.?0+$/, "") : text} ${unit}`;
  }
  const share = (part, whole) => part >= whole ? "100 %" : part < whole / 1000 ? "<0.1 %" : `${(100 * part / whole).toFixed(1)} %`;
  const callsInWords = (number) => `${number.toLocaleString("en")} call${number === 1 ? "" : "s"}`;
  function parts(lane, call) {
    const found = [];
    for (let i = lane.first[call]; i < lane.first[call] + lane.parts[call]; i++) {
      const phase = lane.phase[i], words = `${head.phases[phase][1]} ${duration(lane.time[i + 1] - lane.time[i])}`;
      if (phase !== ASLEEP) { found.push(words); continue; }
      const at = sleepOf(lane, i);
      found.push(`${words} ${head.queues[data.queue[at]]}, woken by ${head.causes[data.cause[at]][0]}`);
    }
    return found.join("; ");
  }
  function callWords(lane, call) {
    const at = lane.call0 + call, fd = signed(data.fd[at]) - 1, code = data.result[at], value = signed(code - 2);
    const ended = code === 0 ? "did not return" : code === 1 ? "an address" : head.errors[value] || String(value);
    const times = data.count[at] > 1 ? `, ${data.count[at].toLocaleString("en")} times` : "";
    return `${head.names[data.name[at]]}(${data.fd[at] && fd >= 0 ? `fd ${fd}` : ""})${code === 0 ? " " : " = "}${ended}${times}`;
  }
  const fine = () => Math.max((shown[1] - shown[0]) / 100, 1);
  function describe(lane, call) {
    return `${callWords(lane, call)}, ${lane.title}, ${moment(begin(lane, call), fine())} after the start, took`
      + ` ${duration(end(lane, call) - begin(lane, call))}: ${parts(lane, call)}`;
  }
  function describeTime(lane, from, to) {
    const sums = new Float64Array(KINDS);
    spent(lane, from, to, sums);
    const whole = sums.reduce((sum, part) => sum + part, 0);
    if (whole <= 0) return `${lane.title} did not exist at this time`;
    const said = [...sums.keys()].filter((k) => sums[k] > 0.5).sort((a, b) => sums[b] - sums[a])
      .map((k) => `${head.phases[k][1]} ${share(sums[k], whole)}`);
    const low = callAt(lane, segmentAt(lane, from)), high = callAt(lane, segmentAt(lane, to));
    const calls = lane.calls && high > low ? `, ${callsInWords(high - low)}` : "";
    return `${lane.title}, ${moment(from, fine())} after the start, ${duration(to - from)}${calls}: ${said.join(", ")}`;
  }

  // -- drawing -------------------------------------------------------------------------------------------------------
  const data = columns(await unpack(document.getElementById("tl-data").textContent));
  const all = lanes(data);
  const bands = head.bands.map((band) => ({ ...band, open: !band.folded }));
  const axis = document.getElementById("tl-axis"), board = document.getElementById("tl-lanes"), room = document.getElementById("tl-room");
  let shown = head.first, rows = [], colours = {}, wide = 0, waiting = false, chosen = null, drawn = [0, 0];
  view.labels = []; // the texts of the last drawing: [words, left, top, right, bottom]

  function layout() {
    rows = [];
    let y = 0;
    for (const band of bands) {
      rows.push({ band, y });
      y += BAND;
      const number = band.open ? band.shown + band.folded : band.shown;
      for (let i = 0; i < number; i++, y += LANE) { const lane = all[band.from + i]; lane.y = y; rows.push({ lane, y }); }
      for (let i = number; i < band.shown + band.folded; i++) all[band.from + i].y = null;
      if (!band.open) { rows.push({ fold: band, y }); y += FOLD; }
    }
    return y + 6;
  }
  function readColours() {
    const root = getComputedStyle(document.documentElement);
    for (const name of ["ink", "soft", "paper", "rule", "raised", "link"]) colours[name] = root.getPropertyValue(`--${name}`).trim();
    const probe = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    probe.setAttribute("class", "figure");
    section.append(probe);
    colours.phases = head.phases.map(([kind]) => {
      const shape = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      shape.setAttribute("class", `f-${kind}`);
      probe.append(shape);
      return getComputedStyle(shape).fill;
    });
    probe.remove();
  }
  function canvas(element, height) {
    const scale = Math.min(window.devicePixelRatio || 1, 2);
    wide = view.clientWidth;
    element.width = wide * scale;
    element.height = height * scale;
    element.style.height = `${height}px`;
    const pen = element.getContext("2d");
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.font = "12px system-ui, sans-serif";
    pen.textBaseline = "top";
    return pen;
  }
  function write(pen, words, x, y, room, colour, offset = 0, cut = true) {
    let text = words;
    if (pen.measureText(text).width > room) {
      if (!cut) return;
      while (text.length > 1 && pen.measureText(`${text}\u2026`).width > room) text = text.slice(0, -1);
      text = text.length > 1 ? `${text}\u2026` : "";
    }
    if (!text) return;
    pen.fillStyle = colour;
    pen.fillText(text, x, y);
    view.labels.push([text, x, y + offset, x + pen.measureText(text).width, y + offset + 11]);
  }
  const place = (time) => (time - shown[0]) / (shown[1] - shown[0]) * wide;
  const time = (x) => shown[0] + x / wide * (shown[1] - shown[0]);
  function fill(pen, phase, x, y, width, top, height) {
    pen.fillStyle = colours.phases[phase];
    pen.fillRect(x, y + top, width, height);
    if (phase !== UNKNOWN || width < 2) return;
    pen.save();
    pen.beginPath();
    pen.rect(x, y + top, width, height);
    pen.clip();
    pen.strokeStyle = colours.paper;
    pen.beginPath();
    for (let at = Math.floor(x / 6) * 6 - height; at < x + width; at += 6) { pen.moveTo(at, y + top + height); pen.lineTo(at + height, y + top); }
    pen.stroke();
    pen.restore();
  }
  // A column with many segments: a bar where the thread was awake, the longer, the higher; else a thin line.
  function stack(pen, sums, x, y, width, height) {
    let awake = 0;
    for (const k of FROM_BELOW) awake += sums[k];
    const whole = awake + sums[ASLEEP] + sums[UNKNOWN];
    if (whole <= 0.5) return;
    for (const k of [ASLEEP, UNKNOWN]) {
      const high = HEIGHT[k] * height;
      if (sums[k] > whole / 2 || (awake <= 0.5 && sums[k] > 0.5)) fill(pen, k, x, y, width, height - high, high);
    }
    if (awake <= 0.5) return;
    const high = Math.max(awake / whole, 0.4) * height;
    let at = height;
    for (const k of FROM_BELOW) {
      if (sums[k] <= 0) continue;
      at -= high * sums[k] / awake;
      fill(pen, k, x, y, width, at, high * sums[k] / awake);
    }
  }
  function drawSegments(pen, lane, y, height) {
    const from = segmentAt(lane, shown[0]), to = segmentAt(lane, shown[1]);
    if (to - from > 2 * wide) {
      const sums = new Float64Array(KINDS);
      for (let x = 0, unknown = 0; x <= wide; x++) {
        sums.fill(0);
        if (x < wide) spent(lane, time(x), time(x + 1), sums);
        const nothing = sums[UNKNOWN] > 0.5 && sums[UNKNOWN] > 0.99 * sums.reduce((sum, part) => sum + part);
        if (!nothing && unknown < x) fill(pen, UNKNOWN, unknown, y, x - unknown, 0, height); // as one, for the hatching
        if (!nothing) { unknown = x + 1; stack(pen, sums, x, y, 1, height); }
      }
      return;
    }
    for (const awake of [false, true]) {
      for (let i = from; i <= to; i++) {
        const phase = lane.phase[i];
        if ((phase !== ASLEEP && phase !== UNKNOWN) !== awake) continue;
        const left = Math.max(place(lane.time[i]), 0), right = Math.min(place(lane.time[i + 1]), wide);
        if (right <= 0 || left >= wide) continue;
        const high = HEIGHT[phase] * height, width = Math.max(right - left, awake ? 1 : 0);
        fill(pen, phase, left, y, width, height - high, high);
        if (right - left > 14 && high >= 12 && phase !== UNKNOWN) write(pen, head.phases[phase][2], (left + right) / 2 - 3.5, y + height - 12, 12, colours.paper);
      }
    }
  }
  function drawCalls(pen, lane, y) {
    const from = Math.max(callAt(lane, segmentAt(lane, shown[0])), 0), to = callAt(lane, segmentAt(lane, shown[1]));
    if (to - from > 2 * wide) return;
    for (let i = from; i <= to; i++) {
      const left = Math.max(place(begin(lane, i)), 0), right = Math.min(place(end(lane, i)), wide);
      if (right - left < 2 || left >= wide) continue;
      pen.fillStyle = colours.raised;
      pen.strokeStyle = colours.soft;
      pen.fillRect(left, y, right - left, 14);
      pen.strokeRect(left + 0.5, y + 0.5, right - left - 1, 13);
      if (right - left > 24) write(pen, head.names[data.name[lane.call0 + i]], left + 4, y + 1.5, right - left - 8, colours.ink, 0, false);
    }
  }
  function drawMessages(pen, lane, y) {
    const marks = [];
    for (let i = Math.max(before(lane.ready, shown[0]) - 50, 0); i < lane.messages && lane.ready[i] < shown[1]; i++) {
      marks.push([lane.ready[i], "D"], [lane.copied[i], "R"]);
      if (marks.length > wide / 8) return;
    }
    let free = 0;
    for (const [at, sign] of marks.filter(([at]) => at >= shown[0] && at < shown[1]).sort((a, b) => a[0] - b[0])) {
      const x = place(at);
      pen.fillStyle = colours.ink;
      pen.fillRect(x, y - 3, 1, 4);
      const left = Math.min(Math.max(x - 4, 0), wide - 10);
      if (left >= free) { write(pen, sign, left, y + 1, 12, colours.ink); free = left + 11; }
    }
  }
  function drawWakeUps(pen) {
    const found = [];
    for (const lane of all) {
      if (lane.y === null || !lane.calls) continue;
      const from = segmentAt(lane, shown[0]), to = segmentAt(lane, shown[1]);
      if (to - from > 2 * wide) return;
      for (let i = from; i <= to; i++) {
        const at = lane.time[i + 1];
        if (lane.phase[i] === ASLEEP && at >= shown[0] && at < shown[1]) found.push([lane, i, at]);
      }
      if (found.length > wide / 6) return;
    }
    pen.strokeStyle = pen.fillStyle = colours.ink;
    for (const [lane, i, at] of found) {
      const waker = all[head.causes[data.cause[sleepOf(lane, i)]][1]], x = place(at);
      if (!waker || waker.y === null || waker === lane) continue;
      const down = waker.y < lane.y, from = waker.y + (down ? 46 : 30), to = lane.y + (down ? 30 : 46);
      pen.beginPath();
      pen.moveTo(x, from);
      pen.lineTo(x, to);
      pen.stroke();
      pen.beginPath();
      pen.moveTo(x, to);
      pen.lineTo(x - 3, to + (down ? -6 : 6));
      pen.lineTo(x + 3, to + (down ? -6 : 6));
      pen.fill();
    }
  }
  function step(least) {
    const size = 10 ** Math.max(Math.floor(Math.log10(Math.max(least, 1))), 0);
    return [1, 2, 5, 10].find((factor) => factor * size >= least) * size;
  }
  function drawAxis() {
    const pen = canvas(axis, AXIS), each = step((shown[1] - shown[0]) / Math.max(wide / 110, 1));
    const long = moment(Math.ceil(shown[1] / each) * each - each, each).length > 11;
    const origin = long ? shown[0] : Math.ceil(shown[0] / each) * each;
    let free = 0;
    for (let at = origin; at < shown[1]; at += each) {
      const x = place(at), words = long && at > origin ? `+${moment(at - origin, each)}` : moment(at, each);
      pen.fillStyle = colours.rule;
      pen.fillRect(x, 4, 1, AXIS - 4);
      if (x >= free && x + 4 + pen.measureText(words).width <= wide) {
        write(pen, words, x + 4, 6, wide, colours.soft, -AXIS);
        free = x + pen.measureText(words).width + 14;
      }
    }
  }
  // The lanes on the screen, and half a screen before and after them: a canvas of a thousand lanes would be too large to draw.
  function reach(height) {
    const top = Math.max(Math.min(-room.getBoundingClientRect().top - innerHeight / 2, height - 2 * innerHeight), 0);
    return [Math.floor(top), Math.ceil(Math.min(top + 2 * innerHeight, height))];
  }
  function scrolled() {
    const box = room.getBoundingClientRect();
    const top = Math.min(Math.max(-box.top, 0), box.height), bottom = Math.min(Math.max(innerHeight - box.top, 0), box.height);
    if (top < drawn[0] || bottom > drawn[1]) later();
  }
  function draw() {
    waiting = false;
    view.labels = [];
    drawAxis();
    const height = layout();
    room.style.height = `${height}px`;
    drawn = reach(height);
    const pen = canvas(board, drawn[1] - drawn[0]);
    board.style.top = `${drawn[0]}px`;
    pen.translate(0, -drawn[0]);
    for (const row of rows) {
      if (row.y + LANE < drawn[0] || row.y > drawn[1]) continue;
      if (row.band) { pen.font = "600 12px system-ui, sans-serif"; write(pen, row.band.label, 4, row.y + 7, wide - 8, colours.ink); pen.font = "12px system-ui, sans-serif"; }
      if (row.lane) {
        const lane = row.lane;
        write(pen, lane.title, 4, row.y, wide - 8, colours.soft);
        if (!lane.segments || place(lane.time[0]) > wide || place(last(lane)) < 0) continue;
        drawCalls(pen, lane, row.y + 14);
        drawSegments(pen, lane, row.y + 29, 16);
        drawMessages(pen, lane, row.y + 46);
      }
      if (row.fold) drawFold(pen, row.fold, row.y);
    }
    drawWakeUps(pen);
    if (chosen) {
      pen.strokeStyle = colours.link;
      pen.lineWidth = 2;
      const left = chosen.call < 0 ? 0 : place(begin(chosen.lane, chosen.call)), right = chosen.call < 0 ? wide : place(end(chosen.lane, chosen.call));
      if (chosen.lane.y !== null) pen.strokeRect(Math.max(left, 1) - 1, chosen.lane.y + 12, Math.max(Math.min(right, wide - 1) - Math.max(left, 1), 3) + 1, 34);
      pen.lineWidth = 1;
    }
    document.getElementById("tl-window").textContent = `Shown: ${moment(shown[0], fine())} to ${moment(shown[1], fine())} of`
      + ` ${duration(head.span)} (${duration(shown[1] - shown[0])})`;
    if (document.getElementById("tl-list").open) list();
  }
  // A folded kind in one lane: all its threads together.
  function drawFold(pen, band, y) {
    const each = 4, sums = folded(band, Math.ceil(wide / each), time(each) - shown[0]);
    write(pen, `${band.folded.toLocaleString("en")} more of this kind, folded into one lane`, 4, y, wide - 8, colours.soft);
    for (let at = 0; at * KINDS < sums.length; at++) stack(pen, sums.subarray(at * KINDS, (at + 1) * KINDS), at * each, y + 15, each, 14);
  }
  // The time of these threads in each phase, column by column. For a long segment, only the columns of its ends change: `whole` has
  // the change of the number of segments that fill a column.
  function folded(band, columns, span) {
    const sums = new Float64Array(columns * KINDS), whole = new Int32Array((columns + 1) * KINDS), here = new Float64Array(KINDS);
    for (let number = band.shown; number < band.shown + band.folded; number++) {
      const lane = all[band.from + number];
      if (!lane.segments) continue;
      const from = segmentAt(lane, shown[0]), to = segmentAt(lane, shown[1]);
      for (let i = from; i <= to && to - from <= columns; i++) {
        const phase = lane.phase[i], low = (lane.time[i] - shown[0]) / span, high = (lane.time[i + 1] - shown[0]) / span;
        if (high <= 0 || low >= columns) continue;
        const first = Math.max(Math.floor(low), 0), last = Math.min(Math.floor(high), columns - 1);
        if (first === last) { sums[first * KINDS + phase] += (Math.min(high, columns) - Math.max(low, 0)) * span; continue; }
        sums[first * KINDS + phase] += (first + 1 - Math.max(low, 0)) * span;
        sums[last * KINDS + phase] += (Math.min(high, columns) - last) * span;
        whole[(first + 1) * KINDS + phase]++;
        whole[last * KINDS + phase]--;
      }
      for (let at = 0; at < columns && to - from > columns; at++) {
        here.fill(0);
        spent(lane, shown[0] + at * span, shown[0] + (at + 1) * span, here);
        for (let k = 0; k < KINDS; k++) sums[at * KINDS + k] += here[k];
      }
    }
    for (let i = 0; i < sums.length; i++) {
      sums[i] += whole[i] * span;
      whole[i + KINDS] += whole[i];
    }
    return sums;
  }
  function list() {
    const table = document.querySelector("#tl-list table"), body = table.tBodies[0], found = [];
    let of = 0;
    for (const lane of all) {
      if (lane.y === null || !lane.calls) continue;
      const from = Math.max(callAt(lane, segmentAt(lane, shown[0])), 0), to = callAt(lane, segmentAt(lane, shown[1]));
      of += Math.max(to - from + 1, 0);
      for (let i = from; i <= to && i < from + 200; i++) if (end(lane, i) > shown[0] && begin(lane, i) < shown[1]) found.push([lane, i]);
    }
    found.sort((a, b) => begin(...a) - begin(...b));
    body.replaceChildren(...found.slice(0, 200).map(([lane, i]) => {
      const row = document.createElement("tr");
      [moment(begin(lane, i), fine()), lane.title, callWords(lane, i), duration(end(lane, i) - begin(lane, i)), parts(lane, i)].forEach((words, number) => {
        const cell = document.createElement(number ? "td" : "th");
        if (!number) cell.scope = "row";
        if (number && number !== 3) cell.className = "words";
        cell.textContent = words;
        row.append(cell);
      });
      return row;
    }));
    table.caption.textContent = of > 200 ? `the first 200 of ${callsInWords(of)}` : callsInWords(found.length);
  }

  // -- moving --------------------------------------------------------------------------------------------------------
  function later() { if (!waiting) { waiting = true; requestAnimationFrame(draw); } }
  function go(from, to) {
    const span = Math.min(Math.max(to - from, 50), head.span), low = Math.min(Math.max(from, 0), head.span - span);
    shown = [low, low + span];
    view.shown = shown;
    later();
  }
  function zoom(factor, around = (shown[0] + shown[1]) / 2) { go(around - (around - shown[0]) * factor, around + (shown[1] - around) * factor); }
  function move(part) { const by = part * (shown[1] - shown[0]); go(shown[0] + by, shown[1] + by); }
  function choose(lane, call) {
    chosen = { lane, call };
    if (call >= 0) {
      if (end(lane, call) < shown[0] || begin(lane, call) > shown[1]) { const half = (shown[1] - shown[0]) / 2; go(begin(lane, call) - half, begin(lane, call) + half); }
    }
    document.getElementById("tl-said").textContent = call < 0 ? describeTime(lane, ...shown) : describe(lane, call);
    later();
  }
  function zoomTo(lane, call) { const around = Math.max(end(lane, call) - begin(lane, call), 50) * 0.3; go(begin(lane, call) - around, end(lane, call) + around); }
  const deeds = {
    whole: () => go(0, head.span),
    typical: () => go(...head.typical),
    in: () => zoom(0.5, chosen && chosen.call >= 0 ? begin(chosen.lane, chosen.call) : undefined),
    out: () => zoom(2),
    left: () => move(-0.25),
    right: () => move(0.25),
  };
  const visible = () => all.filter((lane) => lane.y !== null);
  function nextLane(by) {
    const lanes = visible(), at = chosen ? lanes.indexOf(chosen.lane) : -1;
    const lane = lanes[Math.min(Math.max(at + by, 0), lanes.length - 1)], y = room.getBoundingClientRect().top + lane.y;
    choose(lane, -1);
    if (y < AXIS || y + LANE > innerHeight) scrollBy(0, y - innerHeight / 2);
  }
  function nextCall(by) {
    const lane = chosen ? chosen.lane : visible()[0];
    if (!lane.calls) return choose(lane, -1);
    const from = chosen && chosen.call >= 0 ? chosen.call : callAt(lane, segmentAt(lane, shown[0])) + (by > 0 ? 0 : 1);
    choose(lane, Math.min(Math.max(from + by, 0), lane.calls - 1));
  }
  const keys = {
    ArrowLeft: deeds.left, ArrowRight: deeds.right, "+": deeds.in, "=": deeds.in, "-": deeds.out, 0: deeds.whole,
    ArrowUp: () => nextLane(-1), ArrowDown: () => nextLane(1), n: () => nextCall(1), p: () => nextCall(-1),
    Enter: () => { if (chosen && chosen.call >= 0) zoomTo(chosen.lane, chosen.call); },
    Escape: () => { chosen = null; tip.hidden = true; later(); },
  };
  view.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  });
  for (const button of section.querySelectorAll("[data-do]")) button.addEventListener("click", () => deeds[button.dataset.do]());
  const x = (event) => event.clientX - board.getBoundingClientRect().left;
  view.addEventListener("wheel", (event) => {
    if (document.activeElement !== view && !event.ctrlKey) return; // the page scrolls until the reader has chosen the timeline
    event.preventDefault();
    if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) move(event.deltaX / wide);
    else zoom(Math.exp(Math.max(Math.min(event.deltaY, 200), -200) * 0.003), time(x(event)));
  }, { passive: false });
  // One pointer drags, two pinch.
  const pointers = new Map();
  let moved = 0;
  view.addEventListener("pointerdown", (event) => { pointers.set(event.pointerId, x(event)); moved = 0; });
  addEventListener("pointerup", (event) => { if (pointers.delete(event.pointerId) && moved < 4 && view.contains(event.target)) tap(event); });
  addEventListener("pointercancel", (event) => pointers.delete(event.pointerId));
  addEventListener("pointermove", (event) => {
    if (!pointers.has(event.pointerId)) return;
    const was = pointers.get(event.pointerId), now = x(event), other = [...pointers].find(([id]) => id !== event.pointerId);
    if (other) zoom(Math.max(Math.abs(was - other[1]), 5) / Math.max(Math.abs(now - other[1]), 5), time(other[1]));
    else { const by = time(was) - time(now); go(shown[0] + by, shown[1] + by); }
    moved += Math.abs(now - was);
    pointers.set(event.pointerId, now);
  });
  function under(event) {
    const y = event.clientY - room.getBoundingClientRect().top, row = rows.find((row) => row.lane && y >= row.y && y < row.y + LANE);
    if (!row || !row.lane.segments) return null;
    const lane = row.lane, at = time(x(event)), near = 2 * (shown[1] - shown[0]) / wide;
    if (at < lane.time[0] - near || at > last(lane) + near) return null;
    const segment = segmentAt(lane, at), call = callAt(lane, segment);
    const many = segmentAt(lane, at + near / 4) - segmentAt(lane, at - near / 4) > 8;
    const here = call >= 0 && !many && end(lane, call) >= at - near;
    return { lane, call: here ? call : -1, from: many ? at - near / 4 : lane.time[segment], to: many ? at + near / 4 : lane.time[segment + 1] };
  }
  function tap(event) { const found = under(event); if (found) choose(found.lane, found.call); }
  view.addEventListener("dblclick", (event) => { const found = under(event); if (found && found.call >= 0) zoomTo(found.lane, found.call); });
  document.addEventListener("pointermove", (event) => {
    if (!view.contains(event.target) || pointers.size) return;
    const found = under(event);
    tip.hidden = !found;
    if (!found) return;
    tip.textContent = found.call >= 0 ? describe(found.lane, found.call) : describeTime(found.lane, found.from, found.to);
    tip.style.left = `${Math.max(4, Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8))}px`;
    tip.style.top = `${Math.max(4, Math.min(event.clientY + 18, innerHeight - tip.offsetHeight - 8))}px`;
  });
  for (const band of bands.filter((band) => band.folded)) {
    const button = document.createElement("button");
    button.type = "button";
    const name = () => { button.textContent = `${band.open ? "fold" : "show"} ${band.folded.toLocaleString("en")} of ${band.label}`; };
    button.addEventListener("click", () => { band.open = !band.open; name(); later(); });
    name();
    document.getElementById("tl-folds").append(button);
  }
  document.getElementById("tl-list").addEventListener("toggle", later);
  section.querySelector(".tl-live").hidden = false;
  section.classList.add("tl-drawn");
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { readColours(); later(); });
  new ResizeObserver(() => { if (view.clientWidth !== wide) later(); }).observe(view);
  for (const name of ["scroll", "resize"]) addEventListener(name, scrolled, { passive: true });
  readColours();
  view.shown = shown;
  draw();
  view.ready = true;
  view.draw = draw; // at once, without waiting for the browser's next frame
  performance.mark("timeline");
})();
