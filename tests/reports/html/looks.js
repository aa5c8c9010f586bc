"use strict";
// Runs in a page: what is wrong with its looks, in words. test_browser.py reads it.
function overlap(a, b) {
  return Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1.5 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 2.5;
}
function visible(element) {
  return element.checkVisibility({ visibilityProperty: true }) && element.getClientRects().length > 0;
}
function channel(value) {
  const part = value / 255;
  return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
}
function luminance(colour) {
  const [r, g, b] = colour.match(/[\d.]+/g).map(Number);
  return 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
}
function paper(element, known) {
  if (!element) return "rgb(255, 255, 255)";
  if (known.has(element)) return known.get(element);
  const colour = getComputedStyle(element).backgroundColor;
  known.set(element, /rgba\(.*, 0\)|transparent/.test(colour) ? paper(element.parentElement, known) : colour);
  return known.get(element);
}
// WCAG 2.2, 1.4.3: 4.5 for text.
const ratios = new Map();
function contrast(element, known) {
  const style = getComputedStyle(element), ink = element instanceof SVGElement ? style.fill : style.color, ground = paper(element, known);
  const key = `${ink} on ${ground}`;
  if (!ratios.has(key)) {
    const [low, high] = [luminance(ink), luminance(ground)].sort((a, b) => a - b);
    ratios.set(key, (high + 0.05) / (low + 0.05));
  }
  return ratios.get(key);
}
function figures(found) {
  for (const svg of document.querySelectorAll("figure svg.figure")) {
    if (!visible(svg)) continue;
    const frame = svg.getBoundingClientRect();
    const texts = [...svg.querySelectorAll("text")].map((text) => [text.textContent, text.getBoundingClientRect()]);
    texts.forEach(([words, box], index) => {
      if (box.left < frame.left - 1 || box.right > frame.right + 1 || box.bottom > frame.bottom + 1) found.push(`cut off: ${words}`);
      for (const [others, other] of texts.slice(0, index)) if (overlap(box, other)) found.push(`on each other: ${words} | ${others}`);
    });
  }
}
function words(found) {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const seen = new Set(), known = new Map();
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (seen.has(element) || !node.textContent.trim()) continue;
    seen.add(element);
    if (/^(SCRIPT|STYLE|title|desc)$/.test(element.tagName) || element.classList.contains("skip") || !visible(element)) continue;
    const ratio = contrast(element, known);
    if (ratio < 4.5) found.push(`contrast ${ratio.toFixed(1)}: ${node.textContent.trim().slice(0, 40)}`);
    if (/^(H1|H2|H3|P|LI|DT|DD|SUMMARY)$/.test(element.tagName) && element.scrollWidth > element.clientWidth + 1)
      found.push(`wider than its room: ${node.textContent.trim().slice(0, 40)}`);
  }
}
function order(found) {
  const stops = [...document.querySelectorAll("a[href], button, summary, [tabindex]")].filter((stop) => visible(stop));
  let last = -Infinity;
  for (const stop of stops) {
    if (stop.tabIndex > 0) found.push(`tabindex ${stop.tabIndex}: ${stop.tagName}`);
    if (stop.tabIndex < 0 || stop.classList.contains("skip")) continue;
    const name = stop.getAttribute("aria-label") || stop.textContent.trim() || stop.querySelector("[aria-label]");
    if (!name) found.push(`no name: ${stop.outerHTML.slice(0, 60)}`);
    const column = stop.closest(".side-by-side");
    const top = stop.getBoundingClientRect().top;
    if (!column && top < last - 40) found.push(`out of order: ${stop.outerHTML.slice(0, 60)}`);
    if (!column) last = top;
  }
  if (stops.length < 5) found.push(`only ${stops.length} stops of the tab key`);
}
function keys(found) {
  const figure = document.querySelector("figure.drawn");
  if (figure) {
    figure.focus();
    figure.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowDown", bubbles: true }));
    const tip = document.getElementById("tip");
    if (tip.hidden || !tip.textContent) found.push("the arrow keys tell nothing about the figure");
    figure.blur();
    if (!tip.hidden) found.push("the words of a part stay when the figure is left");
  }
  for (const table of document.querySelectorAll("table.strips, table.threads")) {
    const column = [...table.tHead.rows[0].cells].findIndex((cell) => /in all|time/.test(cell.textContent));
    table.tHead.rows[0].cells[column].querySelector("button").click();
    const values = [...table.tBodies[0].rows].map((row) => Number(row.cells[column].dataset.v));
    if (values.some((value, at) => at && value > values[at - 1])) found.push("a click on a heading does not sort");
    if (table.tHead.rows[0].cells[column].getAttribute("aria-sort") !== "descending") found.push("aria-sort is missing");
  }
}
async function ready(canvas) {
  for (let turn = 0; canvas && !canvas.ready && turn < 1000; turn++) await new Promise((done) => setTimeout(done, 10));
}
// No text of the timeline stands on another, or is cut off.
function labels(canvas, when, found) {
  canvas.labels.forEach(([words, left, top, right, bottom], index) => {
    if (left < 0 || right > canvas.clientWidth + 1) found.push(`timeline, ${when}: cut off: ${words}`);
    for (const [others, ...box] of canvas.labels.slice(0, index))
      if (overlap({ left, top, right, bottom }, { left: box[0], top: box[1], right: box[2], bottom: box[3] }))
        found.push(`timeline, ${when}: on each other: ${words} | ${others}`);
  });
}
function drawn(found) {
  const canvas = document.getElementById("tl-view");
  if (!canvas) return;
  if (!canvas.ready) { found.push("the timeline was not drawn"); return; }
  canvas.draw();
  labels(canvas, "whole", found);
  if (!canvas.labels.length) found.push("the timeline has no label");
  if (visible(document.querySelector(".tl-static"))) found.push("the static picture stands beside the timeline");
}
// The keys, the wheel, the buttons and the pointer.
function timeline(found) {
  const canvas = document.getElementById("tl-view");
  if (!canvas || !canvas.ready) return;
  const said = document.getElementById("tl-said"), tip = document.getElementById("tip");
  const span = () => canvas.shown[1] - canvas.shown[0], whole = span();
  const press = (key) => { canvas.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true })); canvas.draw(); };
  canvas.focus({ preventScroll: true });
  for (const key of ["+", "+", "ArrowRight", "+", "n", "p"]) { press(key); labels(canvas, `after ${key}`, found); }
  if (Math.abs(span() * 8 - whole) > whole / 100) found.push("three + do not make an eighth of the run");
  if (!/took|did not exist|%/.test(said.textContent)) found.push(`n tells nothing of a call: ${said.textContent}`);
  press("Enter");
  labels(canvas, "at one call", found);
  const here = canvas.shown[0];
  press("ArrowLeft");
  if (canvas.shown[0] >= here && here > 0) found.push("the arrow to the left does not move the timeline");
  document.getElementById("tl-list").open = true;
  press("ArrowDown");
  canvas.draw();
  const before = span(), board = document.getElementById("tl-lanes").getBoundingClientRect();
  canvas.dispatchEvent(new WheelEvent("wheel", { deltaY: 100, clientX: board.left + 50, bubbles: true, cancelable: true }));
  canvas.draw();
  if (span() <= before && before < whole) found.push("the wheel does not zoom out");
  document.querySelector("[data-do=in]").click();
  press("0");
  if (span() !== whole) found.push("0 does not show the whole run");
  press("Escape");
  press("ArrowDown");
  const shares = (text) => text.match(/[a-z][a-z ]+ (<0\.1|[\d.]+) %/g).sort().join();
  const written = document.querySelector(".tl-static .tl-row svg").getAttribute("aria-label");
  if (shares(written) !== shares(said.textContent)) found.push(`the script says ${said.textContent}, Python ${written}`);
  const rows = document.querySelectorAll("#tl-list tbody tr").length;
  if (!rows && !/0 calls/.test(document.querySelector("#tl-list caption").textContent)) found.push("the table of the calls is empty");
  for (const button of [...document.querySelectorAll("#tl-folds button")].slice(0, 1)) {
    const room = document.getElementById("tl-room"), folded = room.clientHeight;
    button.click();
    canvas.draw();
    if (room.clientHeight <= folded || !/^fold/.test(button.textContent)) found.push("a folded kind does not open");
    scrollBy(0, room.getBoundingClientRect().bottom - innerHeight);
    canvas.draw();
    if (!canvas.labels.some(([, , top]) => top > room.clientHeight - 150)) found.push("the last lane is not drawn");
    if (document.getElementById("tl-lanes").clientHeight > 2 * innerHeight + 1) found.push("lanes far outside the screen are drawn");
    labels(canvas, "unfolded", found);
    button.click();
    canvas.draw();
  }
  for (let y = 30; y < board.height && tip.hidden; y += 8) for (let part = 0.05; part < 1 && tip.hidden; part += 0.1)
    canvas.querySelector("#tl-lanes").dispatchEvent(new PointerEvent("pointermove", { clientX: board.left + part * board.width,
      clientY: document.getElementById("tl-lanes").getBoundingClientRect().top + y, bubbles: true }));
  if (tip.hidden || !tip.textContent) found.push("pointing at the timeline tells nothing");
  tip.hidden = true;
  canvas.blur();
  document.getElementById("tl-list").open = false;
}
const LOOKS = { figures, words, order, keys, drawn, timeline };
async function looks(...names) {
  await ready(document.getElementById("tl-view"));
  const found = [];
  if (document.documentElement.scrollWidth > document.documentElement.clientWidth + 1)
    found.push(`the page is ${document.documentElement.scrollWidth} wide, the screen ${document.documentElement.clientWidth}`);
  for (const name of names) {
    try { LOOKS[name](found); } catch (error) { found.push(`${name}: ${error}`); }
  }
  return {
    wrong: found, elements: document.querySelectorAll("*").length, ground: paper(document.body, new Map()),
    shown: [...document.querySelectorAll("figure.drawn > div")].filter(visible).map((drawing) => drawing.className),
  };
}
