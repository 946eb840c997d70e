"use strict";
(() => {
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  const slider = document.getElementById("slider");
  const live = document.getElementById("live");
  const card = document.getElementById("card");
  const result = document.getElementById("result");
  const picture = document.getElementById("picture");
  const given = all("li.given");
  const steps = all("li.step");
  const last = steps.length + 1;
  const phaseOf = (step) => (step.classList.contains("backward") ? "backward" : "forward");
  const MARKS = ["future", "reached", "lit", "light-forward", "light-backward"];
  let at = 0; // 0: what is given, then the steps, and at last the result

  // what of the picture belongs to an id: the part itself, and its stand-ins where a value is used often
  const parts = (id) => all(`[id="${id}"], .${id}`, picture);
  const partsOf = (step) => (step.dataset.lit || "").split(" ").filter(Boolean).flatMap(parts);
  const known = () => [...given, ...steps.slice(0, at)];
  const numbersOf = (step) => step.querySelector(".numbers").textContent;

  function make(tag, text, className) {
    const element = document.createElement(tag);
    element.textContent = text;
    if (className) element.className = className;
    return element;
  }

  /** The values that the current step reads, each on a line, as far as they are short. */
  function reads(step) {
    const list = make("div", "", "reads");
    for (const name of (step.dataset.uses || "").split(" ")) {
      const source = [...given, ...steps.slice(0, at - 1)].findLast((other) => other.dataset.name === name);
      if (!source) continue;
      const line = make("div", "with ");
      const text = numbersOf(source).replace(/\s+/g, " ").replace(/.* in all: /, "");
      line.append(make("code", `${name} = ${text.length > 60 ? `${text.slice(0, 60)} …` : text}`));
      list.append(line);
    }
    return list;
  }

  /** Scroll the picture, and nothing else, to what is lit. */
  function showLit() {
    const edges = all(".edge.lit", picture);
    const boxes = (edges.length ? edges : all(".lit", picture)).map((part) => part.getBoundingClientRect());
    if (!boxes.length) return;
    const frame = picture.getBoundingClientRect();
    const [top, bottom] = [Math.min(...boxes.map((box) => box.top)), Math.max(...boxes.map((box) => box.bottom))];
    const [left, right] = [Math.min(...boxes.map((box) => box.left)), Math.max(...boxes.map((box) => box.right))];
    const margin = 80; // for the nodes at the ends of the edges
    if (top < frame.top + margin || bottom > frame.bottom - margin) picture.scrollTop += (top + bottom - frame.top - frame.bottom) / 2;
    if (left < frame.left + margin || right > frame.right - margin) picture.scrollLeft += (left + right - frame.left - frame.right) / 2;
  }

  function go(to, quiet = false) {
    at = Math.max(0, Math.min(last, to));
    const current = steps[at - 1];
    for (const element of all(".reads")) element.remove();
    for (const [i, step] of steps.entries()) {
      step.classList.toggle("current", step === current);
      step.classList.toggle("future-step", i >= at);
      if (step === current) step.setAttribute("aria-current", "step");
      else step.removeAttribute("aria-current");
    }
    result.classList.toggle("current", at === last);

    // the picture: what has not been computed yet is faint, what has a gradient is outlined
    for (const part of all(".node, .edge", picture)) part.classList.remove(...MARKS);
    const mark = (parts, ...marks) => { for (const part of parts) part.classList.add(...marks); };
    if (at > 0) for (const step of steps.slice(at)) if (phaseOf(step) === "forward") mark(partsOf(step), "future");
    for (const step of steps.slice(0, at)) if (phaseOf(step) === "backward") mark(parts(step.dataset.node), "reached");
    if (current) mark(partsOf(current), "lit", `light-${phaseOf(current)}`);

    slider.value = at;
    document.getElementById("count").textContent = at === last ? "the end" : at === 0 ? "the start" : `step ${at} of ${steps.length}`;
    for (const button of all("#controls button")) {
      const done = /first|previous/.test(button.dataset.go) ? at === 0 : at === last;
      button.setAttribute("aria-disabled", done);
    }
    let words = at === 0 ? "The start: what is given." : "The end: the gradients.";
    if (current) {
      const numbers = numbersOf(current);
      const notes = all(".detail p", current).map((note) => note.textContent).join(" ");
      words = `Step ${at} of ${steps.length}, ${phaseOf(current)}: ${current.querySelector("code").textContent}. ${notes}`;
      if (numbers.length < 80) words += ` ${current.dataset.name} is ${numbers}.`;
      current.querySelector(".numbers").before(reads(current));
    }
    slider.setAttribute("aria-valuetext", words.split(". ")[0]);
    live.textContent = words;
    if (!quiet) {
      const target = current || (at === last ? result : document.querySelector(".phase"));
      target.scrollIntoView({ block: "nearest" });
      showLit();
    }
  }

  const moves = { first: () => 0, previous: () => at - 1, next: () => at + 1, last: () => last };
  for (const button of all("#controls button")) button.addEventListener("click", () => go(moves[button.dataset.go]()));
  slider.max = last;
  slider.addEventListener("input", () => go(Number(slider.value)));
  for (const [i, step] of steps.entries()) {
    step.querySelector("a").addEventListener("click", (event) => {
      event.preventDefault();
      go(i + 1);
    });
  }
  document.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: "previous", ArrowRight: "next", Home: "first", End: "last" }[event.key];
    if (event.key === "Escape") card.hidden = true;
    if (!move || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    event.preventDefault();
    go(moves[move]());
  });

  // the card of a node: its value, and its gradient so far
  function showCard(node) {
    const ids = [node.id, ...node.classList];
    const own = [...given, ...steps].filter((step) => ids.includes(step.dataset.node));
    const value = own.find((step) => !step.classList.contains("backward"));
    const gradient = own.findLast((step) => step.classList.contains("backward") && known().includes(step));
    card.replaceChildren();
    if (!value) {
      card.append(make("p", node.querySelector("title").textContent));
    } else {
      const computed = value.classList.contains("given") || known().includes(value);
      card.append(make("code", value.classList.contains("given") ? value.dataset.name : value.querySelector("code").textContent));
      if (value.classList.contains("given")) card.append(make("p", value.querySelector("p").textContent));
      card.append(computed ? make("pre", numbersOf(value)) : make("p", "not computed yet"));
      if (gradient) {
        card.append(make("p", `${gradient.dataset.name} so far:`), make("pre", numbersOf(gradient)));
      } else {
        const will = own.some((step) => step.classList.contains("backward"));
        card.append(make("p", will ? "no gradient yet" : "gets no gradient"));
      }
    }
    card.hidden = false;
    const box = node.getBoundingClientRect();
    const right = box.right + 8 + card.offsetWidth < innerWidth;
    card.style.left = `${Math.max(4, right ? box.right + 8 : Math.min(box.left, innerWidth - card.offsetWidth - 4))}px`;
    const top = right ? box.top : box.bottom + 8;
    card.style.top = `${Math.max(4, Math.min(top, innerHeight - card.offsetHeight - 4))}px`;
    node.setAttribute("aria-label", card.innerText);
  }
  // with parts that can be visited it is no single image any more; what its lines say is in the steps
  for (const svg of all("svg", picture)) svg.setAttribute("role", "group");
  for (const graph of all(".graph", picture)) graph.setAttribute("role", "none");
  for (const edge of all(".edge, .cluster", picture)) edge.setAttribute("aria-hidden", "true");
  for (const node of all(".node", picture)) {
    if (!node.id) continue;
    node.setAttribute("tabindex", "0");
    node.setAttribute("role", "img");
    node.setAttribute("aria-label", all("text", node).map((line) => line.textContent).join(", "));
    for (const start of ["mouseenter", "focus"]) node.addEventListener(start, () => showCard(node));
    for (const stop of ["mouseleave", "blur"]) node.addEventListener(stop, () => { card.hidden = true; });
  }

  document.documentElement.classList.add("js");
  const wanted = /^#s(\d+)$/.exec(location.hash);
  go(wanted ? Number(wanted[1]) : 0, !wanted);
})();
