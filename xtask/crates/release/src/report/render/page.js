"use strict";
// Roving tabindex: arrow keys, Home and End move the focus; one item at a time is in the tab order.
function rove(items, chosen) {
  const go = (index) => {
    for (const item of items) item.tabIndex = -1;
    items[index].tabIndex = 0;
    items[index].focus();
    chosen(items[index]);
  };
  items.forEach((item, index) => {
    item.addEventListener("keydown", (event) => {
      const last = items.length - 1;
      const next = {
        ArrowRight: Math.min(index + 1, last), ArrowDown: Math.min(index + 1, last),
        ArrowLeft: Math.max(index - 1, 0), ArrowUp: Math.max(index - 1, 0), Home: 0, End: last,
      }[event.key];
      if (next === undefined) return;
      event.preventDefault();
      go(next);
    });
    item.addEventListener("click", () => go(index));
  });
}

const list = document.querySelector('[role="tablist"]');
if (list) {
  const tabs = [...list.querySelectorAll('[role="tab"]')];
  const show = (chosen) => {
    for (const tab of tabs) {
      tab.setAttribute("aria-selected", String(tab === chosen));
      document.getElementById(tab.getAttribute("aria-controls")).hidden = tab !== chosen;
    }
  };
  list.hidden = false;
  show(tabs[0]);
  rove(tabs, show);
}

for (const map of document.querySelectorAll(".map")) {
  const detail = document.getElementById(map.getAttribute("aria-describedby"));
  const cells = [...map.children];
  const describe = (cell) => { detail.textContent = cell.title; };
  rove(cells, describe);
  for (const cell of cells) {
    cell.addEventListener("pointerenter", () => describe(cell));
    cell.addEventListener("focus", () => describe(cell));
  }
}
