() => {
  // A region on the page and the part of the Markdown that says it find each other by their numbers.
  const all = (selector) => Array.from(document.querySelectorAll(selector));

  const into = (box, target) => {
    if (!box || !target) return;
    const scrolls = box.scrollHeight > box.clientHeight + 4 && getComputedStyle(box).overflowY !== "visible";
    if (!scrolls || box.clientHeight === 0) {
      target.scrollIntoView({ block: "center", behavior: "smooth" });
      return;
    }
    const offset = target.getBoundingClientRect().top - box.getBoundingClientRect().top;
    box.scrollTo({ top: box.scrollTop + offset - Math.max(12, (box.clientHeight - target.clientHeight) / 3), behavior: "smooth" });
  };

  const mark = (part, region) => {
    all(".ma-on").forEach((element) => element.classList.remove("ma-on"));
    if (region != null) all(`[data-region="${region}"]`).forEach((element) => element.classList.add("ma-on"));
    if (part == null || part === "") return;
    all(`.ma-region[data-part="${part}"], #ma-text .ma-part-${part}`).forEach((element) => element.classList.add("ma-on"));
  };

  const toText = (part) => into(document.querySelector("#ma-text"), document.querySelector(`#ma-text .ma-part-${part}`));
  const toPage = (selector) => into(document.querySelector("#ma-picture"), document.querySelector(selector));

  document.addEventListener("click", (event) => {
    const region = event.target.closest(".ma-region, tr[data-region]");
    if (region) {
      mark(region.dataset.part, region.dataset.region);
      if (region.matches("tr")) toPage(`.ma-region[data-region="${region.dataset.region}"]`);
      else if (region.dataset.part !== "") toText(region.dataset.part);
      return;
    }
    const part = event.target.closest("#ma-text .ma-part");
    if (part && !event.target.closest("a") && !String(getSelection())) {
      const number = Array.from(part.classList).find((name) => /^ma-part-\d+$/.test(name)).slice(8);
      mark(number, null);
      toPage(`.ma-region[data-part="${number}"]`);
      return;
    }
    if (event.target.closest("#ma-convert") && innerWidth < 760) {  // what happens is below the form there
      setTimeout(() => document.querySelector("#ma-progress")?.scrollIntoView({ behavior: "smooth" }), 900);
    }
    if (event.target.closest("#ma-theme")) {
      const dark = document.body.classList.toggle("dark");
      try { localStorage.setItem("mineru-accel-theme", dark ? "dark" : "light"); } catch (error) { /* private window */ }
    }
  });

  try {
    const chosen = localStorage.getItem("mineru-accel-theme");
    if (chosen) document.body.classList.toggle("dark", chosen === "dark");
  } catch (error) { /* private window */ }
}
