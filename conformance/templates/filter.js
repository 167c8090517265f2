"use strict";
// An enhancement: without it the page shows everything and the filter stays hidden.
(() => {
  const form = document.querySelector("form.filter");
  const items = [...document.querySelectorAll(".item")];
  const groups = [...document.querySelectorAll(".group")];
  const words = new Map(items.map((item) => [item, item.textContent.toLowerCase()]));

  const wanted = (item) =>
    [...form.querySelectorAll("select")].every(
      ({ name, value }) => !value || item.dataset[name].split(" ").includes(value),
    ) && words.get(item).includes(form.elements.text.value.trim().toLowerCase());

  const apply = () => {
    for (const item of items) item.hidden = !wanted(item);
    for (const group of groups) group.hidden = !group.querySelector(".item:not([hidden])");
    const shown = items.filter((item) => !item.hidden).length;
    form.querySelector("output").value = `${shown} of ${items.length} clauses`;
  };

  const showAll = () => {
    form.reset();
    apply();
  };

  // A link to what is filtered away brings it back.
  const reveal = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target || !target.closest("[hidden]")) return;
    showAll();
    target.scrollIntoView();
  };

  form.hidden = false;
  for (const change of ["input", "change"]) form.addEventListener(change, apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.querySelector("button").addEventListener("click", showAll);
  addEventListener("pageshow", apply); // a browser may restore what the fields held
  addEventListener("hashchange", reveal);
  apply();
})();

// Print what is behind a click, too, where the style sheet alone cannot.
(() => {
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")];
    for (const each of opened) each.open = true;
  });
  addEventListener("afterprint", () => {
    for (const each of opened) each.open = false;
  });
})();
