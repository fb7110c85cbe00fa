// Choosing a layer and a head shows their heat map. Without this script the chosen one stands.
"use strict";
(() => {
  const layer = document.getElementById("layer");
  const head = document.getElementById("head");
  const cells = [...document.querySelectorAll(".var rect")];
  const looks = [...document.querySelectorAll("[id^='look-']")];
  document.documentElement.classList.add("js");

  function show() {
    for (const look of looks) {
      for (const part of look.querySelectorAll(".cells")) {
        const [, , wide, high] = part.getAttribute("viewBox").split(" ").map(Number);
        part.setAttribute("viewBox", [head.value * wide, layer.value * high, wide, high].join(" "));
      }
      const strip = look.parentElement;
      const words = (box) => box.selectedOptions[0].textContent;
      const heads = head.value === head.options[0].value ? "mean of all heads" : "head " + words(head);
      const layers = layer.value === layer.options[0].value ? "layers " : "layer ";
      strip.querySelector(".told").textContent = layers + words(layer) + ", " + heads;
      strip.querySelector(".most").textContent = "the most on one square";
    }
    for (const cell of cells) {
      const here = cell.dataset.layer === layer.value && cell.dataset.head === head.value;
      cell.classList.toggle("now", here);
    }
  }

  layer.addEventListener("change", show);
  head.addEventListener("change", show);
  for (const cell of cells) {
    cell.addEventListener("click", () => {
      layer.value = cell.dataset.layer;
      head.value = cell.dataset.head;
      show();
      looks[0].scrollIntoView({ block: "nearest" });
    });
  }
})();
