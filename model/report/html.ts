/**
 * A failing schedule as one self-contained page: a space-time diagram in which time runs downward,
 * with one line for each thread and an arrow for each happens-before edge between threads.
 *
 * @module
 */

import type { Failure } from "../failure.ts";
import type { Step } from "./steps.ts";
import { shortLine } from "./table.ts";

// Pixels.
const COLUMN = 320;
const ROW = 34;
const LEFT = 60;
const TOP = 56;

/** The text of the page. */
export function formatHtml(
  failure: Failure,
  replay: string,
  steps: readonly Step[],
  threads: readonly string[],
): string {
  const x = (name: string) => LEFT + threads.indexOf(name) * COLUMN;
  const y = (step: number) => TOP + step * ROW;
  const width = LEFT + threads.length * COLUMN + 40;
  const height = TOP + steps.length * ROW + 20;
  const lifelines = threads.map((name) =>
    `<text class="thread" x="${x(name)}" y="24">${escape(name)}</text>` +
    `<line class="life" x1="${x(name)}" y1="34" x2="${x(name)}" y2="${height - 10}"/>`
  );
  const events = steps.map((step, i) =>
    `<g><title>${escape(step.lines.join("\n"))}</title>` +
    `<circle cx="${x(step.thread)}" cy="${y(i)}" r="5"/>` +
    `<text x="${x(step.thread) + 12}" y="${y(i) - 1}">${escape(step.operation)}</text>` +
    `<text class="line" x="${x(step.thread) + 12}" y="${y(i) + 11}">` +
    `${i + 1}. ${escape(shortLine(step.lines[0]))}</text></g>`
  );
  const edges = steps.flatMap((step, i) =>
    step.after.map((j) => {
      const from = x(steps[j]!.thread);
      const to = x(step.thread);
      const inset = Math.sign(to - from) * 8;
      return `<line class="edge" x1="${from + inset}" y1="${y(j)}" x2="${to - inset}" y2="${
        y(i)
      }"/>`;
    })
  );
  const accesses = (failure.accesses ?? []).map(({ thread, access, step, lines }) =>
    `<h2>${escape(thread)}, step ${step}: ${escape(access)}</h2><pre>${
      escape(lines.join("\n"))
    }</pre>`
  );
  return `<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escape(failure.kind)}</title>
<style>
  :root { color-scheme: light dark; --edge: #c33; }
  body { font: 14px/1.5 system-ui, sans-serif; margin: 2rem; }
  pre, svg text { font-family: ui-monospace, monospace; }
  svg { display: block; max-width: none; }
  svg text { font-size: 12px; fill: currentColor; }
  svg .thread { font-size: 14px; font-weight: bold; }
  svg .line { font-size: 10px; opacity: .6; }
  svg .life { stroke: currentColor; opacity: .3; }
  svg circle { fill: currentColor; }
  svg .edge { stroke: var(--edge); stroke-width: 1.5; marker-end: url(#arrow); }
  figure { overflow-x: auto; margin: 1rem 0; }
</style>
<h1>${escape(failure.kind)}</h1>
<pre>${escape(failure.message)}</pre>
${accesses.join("\n")}
<p>replay: <code>${escape(replay)}</code></p>
<figure>
<svg width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">
<defs><marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7"
 orient="auto"><path d="M0 0 8 4 0 8z" fill="#c33"/></marker></defs>
${lifelines.join("\n")}
${edges.join("\n")}
${events.join("\n")}
</svg>
<figcaption>Time runs downward; a red arrow means “happens before”, between threads. Point at an
event for its source lines.</figcaption>
</figure>
</html>
`;
}

function escape(text: string): string {
  return text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
}
