/**
 * Style and script of the page that shows a failing schedule.
 *
 * @module
 */

/** The style sheet. */
export const STYLE = `
  :root { color-scheme: light dark; --edge: #c33; --now: #06c; --changed: #fd6; }
  @media (prefers-color-scheme: dark) { :root { --now: #6bf; --changed: #750; } }
  * { box-sizing: border-box; }
  body { font: 14px/1.5 system-ui, sans-serif; margin: 1.5rem; }
  h1 { margin: 0 0 .5rem; } h2 { font-size: 1rem; margin: 1rem 0 .25rem; }
  pre, code, svg text, td, th { font-family: ui-monospace, monospace; }
  pre { margin: .25rem 0; white-space: pre-wrap; }
  main { display: flex; gap: 1.5rem; align-items: flex-start; }
  figure { flex: 1 1 auto; min-width: 0; overflow: auto; margin: 0; max-height: 78vh;
    border: 1px solid #8884; }
  figure:focus { outline: 2px solid var(--now); }
  aside { flex: 0 0 26rem; position: sticky; top: 1rem; max-height: 92vh; overflow: hidden auto;
    overflow-wrap: anywhere; }
  svg { display: block; max-width: none; }
  svg text { font-size: 12px; fill: currentColor; }
  svg .thread { font-size: 14px; font-weight: bold; }
  svg .line { font-size: 10px; opacity: .6; }
  svg .life { stroke: currentColor; opacity: .3; }
  svg circle { fill: currentColor; }
  svg .edge { stroke: var(--edge); stroke-width: 1.5; marker-end: url(#arrow); }
  svg .event { cursor: pointer; }
  svg .now circle { fill: var(--now); r: 8px; }
  svg .now text { fill: var(--now); font-weight: bold; }
  svg .later { opacity: .45; }
  input { width: 100%; margin: 0; }
  kbd { border: 1px solid #8888; border-radius: 3px; padding: 0 .3em; font-size: .85em; }
  .keys { margin: 0 0 .5rem; opacity: .8; }
  table { border-collapse: collapse; width: 100%; }
  caption { text-align: left; font-weight: bold; }
  td { border-top: 1px solid #8884; padding: .1rem .4rem .1rem 0; vertical-align: top; }
  td + td { text-align: right; }
  .changed td { background: var(--changed); }
  .source { opacity: .7; font-size: 12px; }
  @media (max-width: 60rem) { main { flex-direction: column; } aside { position: static;
    flex: none; width: 100%; } }
`;

/** The script. It only adds text nodes, so nothing of the program under test becomes markup. */
export const SCRIPT = `
  const { steps, words } = JSON.parse(document.getElementById("data").textContent);
  const events = [...document.querySelectorAll(".event")];
  const figure = document.querySelector("figure");
  const range = document.querySelector("input");
  const panel = document.getElementById("step");
  const memory = document.querySelector("#memory tbody");
  const element = (name, text, className) => {
    const made = document.createElement(name);
    made.textContent = text;
    if (className) made.className = className;
    return made;
  };
  const source = (lines) => element("pre", lines.map((line) => "  at " + line).join("\\n"), "source");
  let now = -1;
  function go(step) {
    step = Math.max(0, Math.min(steps.length - 1, step));
    if (step === now || steps.length === 0) return;
    now = step;
    range.value = step + 1;
    events.forEach((event, i) => {
      event.classList.toggle("now", i === step);
      event.classList.toggle("later", i > step);
    });
    reveal(events[step]);
    const { thread, operation, lines, accessesBefore, accesses } = steps[step];
    panel.replaceChildren(
      element("h2", "Step " + (step + 1) + " of " + steps.length + ", " + thread),
      ...accessesBefore.flatMap((a) => [element("pre", a.text)]),
      element("pre", operation),
      source(lines),
      ...accesses.flatMap((a) => [element("pre", a.text), source(a.lines.slice(0, 1))]),
    );
    memory.replaceChildren(...words.map(({ name, initial, writes }) => {
      const before = writes.filter((write) => write.step < step).at(-1)?.value ?? initial;
      const after = writes.filter((write) => write.step <= step).at(-1)?.value ?? initial;
      const isWritten = writes.some((write) => write.step === step);
      const row = document.createElement("tr");
      if (isWritten) row.className = "changed";
      const text = isWritten && before !== after ? before + " → " + after : after;
      row.append(element("td", name), element("td", text));
      return row;
    }));
  }
  /** Scrolls the diagram, and not the page, so far that an event is seen. */
  function reveal(event) {
    const margin = 60;
    const box = event.getBoundingClientRect();
    const frame = figure.getBoundingClientRect();
    const above = frame.top + margin - box.top;
    const below = box.bottom + margin - frame.bottom;
    const left = frame.left + margin - box.left;
    const right = box.right + margin - frame.right;
    figure.scrollTop += above > 0 ? -above : Math.max(0, below);
    figure.scrollLeft += left > 0 ? -left : Math.max(0, right);
  }
  /** The nearest step in a direction at which another thread runs. */
  function otherThread(direction) {
    let step = now;
    while (steps[step] && steps[step].thread === steps[now].thread) step += direction;
    return step;
  }
  const keys = {
    ArrowDown: () => now + 1, ArrowRight: () => now + 1, j: () => now + 1,
    ArrowUp: () => now - 1, ArrowLeft: () => now - 1, k: () => now - 1,
    PageDown: () => otherThread(1), PageUp: () => otherThread(-1),
    Home: () => 0, End: () => steps.length - 1,
  };
  document.addEventListener("keydown", (event) => {
    const key = event.ctrlKey || event.metaKey || event.altKey ? undefined : keys[event.key];
    if (key === undefined) return;
    event.preventDefault();
    go(key());
  });
  range.addEventListener("input", () => go(range.value - 1));
  events.forEach((event, i) => event.addEventListener("click", () => go(i)));
  document.querySelector("aside").hidden = false;
  go(steps.length - 1);
  figure.focus({ preventScroll: true });
`;
