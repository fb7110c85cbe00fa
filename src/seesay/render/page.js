// Choosing a word shows its card. Without this script every card stands below its text.
"use strict";
(() => {
  const words = [...document.querySelectorAll("a.word")];
  const cards = new Map([...document.querySelectorAll(".card")].map((card) => [card.id, card]));
  if (!cards.size) return;
  document.documentElement.classList.add("js");

  // The cards move out of the closed list, to right below the text that they belong to.
  for (const list of document.querySelectorAll(".evidence > .cards")) {
    const place = document.createElement("div");
    place.className = "chosen";
    place.setAttribute("aria-live", "polite");
    place.append(...list.children);
    list.closest(".account").after(place);
    list.parentElement.open = false; // what is left in it is the table
    list.remove();
  }

  const target = (link) => link.hash.slice(1);

  function choose(id, move) {
    for (const [name, card] of cards) card.classList.toggle("open", name === id);
    for (const word of words) {
      if (target(word) === id) word.setAttribute("aria-current", "true");
      else word.removeAttribute("aria-current");
    }
    const card = cards.get(id);
    if (card && move) card.scrollIntoView({ block: "nearest" });
  }

  function follow(id) {
    choose(id, true);
    try {
      history.replaceState(null, "", id ? "#" + id : location.pathname + location.search);
    } catch {
      // A page opened in a frame without an address of its own: the choice is shown all the same.
    }
  }

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a.word");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    follow(target(link));
  });

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") return follow("");
    const word = event.target.closest?.("a.word");
    if (!word) return;
    const row = [...word.closest("[data-words]").querySelectorAll("a.word")];
    const at = row.indexOf(word);
    const next = {
      ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1,
      Home: 0, End: row.length - 1, " ": at,
    }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    const chosen = row[Math.min(Math.max(next, 0), row.length - 1)];
    chosen.focus();
    follow(target(chosen));
  });

  const asked = () => decodeURIComponent(location.hash.slice(1));
  addEventListener("hashchange", () => choose(asked(), true));
  const first = document.querySelector("[data-first]");
  if (cards.has(asked())) choose(asked(), true);
  else if (first) choose(first.dataset.first, false);
})();
