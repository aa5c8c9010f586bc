"use strict";
// Runs in a browser beside pages in frames: what is wrong with the looks of each page, in words. test_browser.py reads it.
function overlap(a, b) {
  return Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1.5 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 2.5;
}
function visible(element) {
  const box = element.getBoundingClientRect();
  return box.width > 0 && box.height > 0 && element.ownerDocument.defaultView.getComputedStyle(element).visibility !== "hidden";
}
function channel(value) {
  const part = value / 255;
  return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
}
function luminance(colour) {
  const [r, g, b] = colour.match(/[\d.]+/g).map(Number);
  return 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
}
function paper(element, view) {
  for (let at = element; at; at = at.parentElement) {
    const colour = view.getComputedStyle(at).backgroundColor;
    if (!/rgba\(.*, 0\)|transparent/.test(colour)) return colour;
  }
  return "rgb(255, 255, 255)";
}
// WCAG 2.2, 1.4.3: 4.5 for text.
function contrast(element, view) {
  const style = view.getComputedStyle(element);
  const ink = luminance(element instanceof view.SVGElement ? style.fill : style.color);
  const ground = luminance(paper(element, view));
  return (Math.max(ink, ground) + 0.05) / (Math.min(ink, ground) + 0.05);
}
function figures(page, view, found) {
  for (const svg of page.querySelectorAll("figure svg.figure")) {
    if (!visible(svg)) continue;
    const frame = svg.getBoundingClientRect();
    const texts = [...svg.querySelectorAll("text")].map((text) => [text.textContent, text.getBoundingClientRect()]);
    texts.forEach(([words, box], index) => {
      if (box.left < frame.left - 1 || box.right > frame.right + 1 || box.bottom > frame.bottom + 1) found.push(`cut off: ${words}`);
      for (const [others, other] of texts.slice(0, index)) if (overlap(box, other)) found.push(`on each other: ${words} | ${others}`);
    });
  }
}
function words(page, view, found) {
  const walker = page.createTreeWalker(page.body, NodeFilter.SHOW_TEXT);
  const seen = new Set();
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.textContent.trim() || seen.has(element) || !visible(element)) continue;
    if (/^(SCRIPT|STYLE|title|desc)$/.test(element.tagName) || element.classList.contains("skip")) continue;
    seen.add(element);
    const ratio = contrast(element, view);
    if (ratio < 4.5) found.push(`contrast ${ratio.toFixed(1)}: ${node.textContent.trim().slice(0, 40)}`);
    if (/^(H1|H2|H3|P|LI|DT|DD|SUMMARY)$/.test(element.tagName) && element.scrollWidth > element.clientWidth + 1)
      found.push(`wider than its room: ${node.textContent.trim().slice(0, 40)}`);
  }
}
function order(page, view, found) {
  const stops = [...page.querySelectorAll("a[href], button, summary, [tabindex]")].filter((stop) => visible(stop));
  let last = -1;
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
function keys(page, view, found) {
  const figure = page.querySelector("figure.drawn");
  if (figure) {
    figure.focus();
    figure.dispatchEvent(new view.KeyboardEvent("keydown", { key: "ArrowDown", bubbles: true }));
    const tip = page.getElementById("tip");
    if (tip.hidden || !tip.textContent) found.push("the arrow keys tell nothing about the figure");
    figure.blur();
    if (!tip.hidden) found.push("the words of a part stay when the figure is left");
  }
  for (const table of page.querySelectorAll("table.strips, table.threads")) {
    const column = [...table.tHead.rows[0].cells].findIndex((cell) => /in all|time/.test(cell.textContent));
    table.tHead.rows[0].cells[column].querySelector("button").click();
    const values = [...table.tBodies[0].rows].map((row) => Number(row.cells[column].dataset.v));
    if (values.some((value, at) => at && value > values[at - 1])) found.push("a click on a heading does not sort");
    if (table.tHead.rows[0].cells[column].getAttribute("aria-sort") !== "descending") found.push("aria-sort is missing");
  }
}
async function ready(canvas) {
  for (let turn = 0; canvas && !canvas.ready && turn < 200; turn++) await new Promise((done) => setTimeout(done, 50));
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
function timeline(page, view, found) {
  const canvas = page.getElementById("tl-view");
  if (!canvas) return;
  if (!canvas.ready) { found.push("the timeline was not drawn"); return; }
  const said = page.getElementById("tl-said"), tip = page.getElementById("tip");
  const span = () => canvas.shown[1] - canvas.shown[0], whole = span();
  const press = (key) => { canvas.dispatchEvent(new view.KeyboardEvent("keydown", { key, bubbles: true })); canvas.draw(); };
  labels(canvas, "whole", found);
  if (!canvas.labels.length) found.push("the timeline has no label");
  if (visible(page.querySelector(".tl-static"))) found.push("the static picture stands beside the timeline");
  if (view.matchMedia("(prefers-color-scheme: dark)").matches) return; // the keys are those of the light page
  canvas.focus({ preventScroll: true });
  for (const key of ["+", "+", "ArrowRight", "+", "n", "p"]) { press(key); labels(canvas, `after ${key}`, found); }
  if (Math.abs(span() * 8 - whole) > whole / 100) found.push("three + do not make an eighth of the run");
  if (!/took|not alive|%/.test(said.textContent)) found.push(`n tells nothing of a call: ${said.textContent}`);
  press("Enter");
  labels(canvas, "at one call", found);
  const here = canvas.shown[0];
  press("ArrowLeft");
  if (canvas.shown[0] >= here && here > 0) found.push("the arrow to the left does not move the timeline");
  page.getElementById("tl-list").open = true;
  press("ArrowDown");
  canvas.draw();
  const before = span(), board = page.getElementById("tl-lanes").getBoundingClientRect();
  canvas.dispatchEvent(new view.WheelEvent("wheel", { deltaY: 100, clientX: board.left + 50, bubbles: true, cancelable: true }));
  canvas.draw();
  if (span() <= before && before < whole) found.push("the wheel does not zoom out");
  page.querySelector("[data-do=in]").click();
  press("0");
  if (span() !== whole) found.push("0 does not show the whole run");
  const rows = page.querySelectorAll("#tl-list tbody tr").length;
  if (!rows && !/0 calls/.test(page.querySelector("#tl-list caption").textContent)) found.push("the table of the calls is empty");
  for (const button of [...page.querySelectorAll("#tl-folds button")].slice(0, 1)) {
    const folded = canvas.labels.length;
    button.click();
    canvas.draw();
    if (canvas.labels.length <= folded || !/^fold/.test(button.textContent)) found.push("a folded kind does not open");
    labels(canvas, "unfolded", found);
    button.click();
    canvas.draw();
  }
  for (let y = 30; y < board.height && tip.hidden; y += 8) for (let part = 0.05; part < 1 && tip.hidden; part += 0.1)
    canvas.querySelector("#tl-lanes").dispatchEvent(new view.PointerEvent("pointermove", { clientX: board.left + part * board.width,
      clientY: page.getElementById("tl-lanes").getBoundingClientRect().top + y, bubbles: true }));
  if (tip.hidden || !tip.textContent) found.push("pointing at the timeline tells nothing");
  tip.hidden = true;
  canvas.blur();
  page.getElementById("tl-list").open = false;
}
addEventListener("load", async () => {
  const report = {};
  for (const frame of document.querySelectorAll("iframe")) {
    frame.scrollIntoView(); // a browser draws no frame that is out of sight
    await new Promise((loaded) => { frame.addEventListener("load", loaded); frame.srcdoc = frame.dataset.page; });
    const page = frame.contentDocument, view = frame.contentWindow;
    await ready(page.getElementById("tl-view"));
    const found = [];
    if (page.documentElement.scrollWidth > view.innerWidth + 1)
      found.push(`the page is ${page.documentElement.scrollWidth} wide, the screen ${view.innerWidth}`);
    for (const look of [figures, words, order, keys, timeline]) {
      try { await look(page, view, found); } catch (error) { found.push(`${look.name}: ${error}`); }
    }
    report[frame.name] = { wrong: [...view.wrong, ...found], elements: page.querySelectorAll("*").length, ground: paper(page.body, view), shown:
      [...page.querySelectorAll("figure.drawn > div")].filter(visible).map((drawing) => drawing.className) };
    frame.remove();
  }
  fetch("report", { method: "POST", body: JSON.stringify(report) });
});
