"use strict";
// Tables: a click on a column's heading sorts the rows by the exact values (data-v), or by the words.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  [...table.tHead.rows[0].cells].forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const down = heading.getAttribute("aria-sort") !== "descending";
      for (const other of heading.parentNode.cells) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", down ? "descending" : "ascending");
      const value = (row) => row.cells[column].dataset.v;
      const compare = (a, b) => value(a) === undefined
        ? b.cells[column].textContent.localeCompare(a.cells[column].textContent) : value(b) - value(a);
      body.append(...[...body.rows].sort(down ? compare : (a, b) => compare(b, a)));
    });
  });
}
// Figures: the mouse, a finger or the arrow keys choose a part; its words stand beside it.
const tip = document.getElementById("tip");
let marked = null;
function show(part, x, y) {
  if (marked) marked.classList.remove("marked");
  marked = part;
  tip.hidden = !part;
  if (!part) return;
  part.classList.add("marked");
  tip.textContent = part.querySelector("title").textContent;
  tip.style.left = Math.max(4, Math.min(x + 14, innerWidth - tip.offsetWidth - 8)) + "px";
  tip.style.top = Math.max(4, Math.min(y + 14, innerHeight - tip.offsetHeight - 8)) + "px";
}
const part = (event) => {
  const title = event.target.closest && event.target.closest("svg.figure *");
  return title && title.querySelector(":scope > title") ? title : null;
};
document.addEventListener("pointermove", (event) => show(part(event), event.clientX, event.clientY));
document.addEventListener("pointerdown", (event) => show(part(event), event.clientX, event.clientY));
document.addEventListener("scroll", () => show(null), true);
for (const figure of document.querySelectorAll("figure.drawn")) {
  let at = -1;
  const parts = () => [...figure.querySelectorAll("title")].map((title) => title.parentNode)
    .filter((part) => part.getClientRects().length);
  figure.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    if (event.key === "Escape") show(null);
    if (!step) return;
    event.preventDefault();
    const all = parts();
    at = (at + step + all.length) % all.length;
    const box = all[at].getBoundingClientRect();
    show(all[at], box.right, box.top);
  });
  figure.addEventListener("blur", () => show(null));
}
// The tooltips above replace the browser's own.
for (const title of document.querySelectorAll("svg.figure title"))
  title.parentNode.setAttribute("aria-description", title.textContent);
// On paper everything is open but the kernel stacks.
addEventListener("beforeprint", () => document.querySelectorAll("details:not(.stacks)").forEach((part) => { part.open = true; }));
