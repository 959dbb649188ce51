/**
 * A failing schedule as one self-contained page to step through. Time runs downward; there is one
 * line for each thread, and an arrow for each happens-before edge between threads. Beside the
 * diagram are the source lines of the present step, its plain accesses, and memory after it.
 *
 * Without scripts the page still shows the diagram, with the source lines as tooltips.
 *
 * @module
 */

import type { FailedExecution } from "./failed_execution.ts";
import { SCRIPT, STYLE } from "./html_assets.ts";
import type { Step } from "./steps.ts";
import { placeOf } from "./table.ts";

// Pixels.
const COLUMN = 300;
const ROW = 36;
const LEFT = 56;
const TOP = 56;

/** The text of the page. */
export function formatHtml({ failure, replay, steps, words, threads }: FailedExecution): string {
  const accesses = (failure.accesses ?? []).map(({ thread, access, step, lines }) =>
    `<h2>${escape(thread)}, ${step === 0 ? "before its first step" : `step ${step}`}: ${
      escape(access)
    }</h2><pre>${escape(lines.join("\n"))}</pre>`
  );
  // As data, not as markup; a script must not end early.
  const data = JSON.stringify({ steps, words }).replaceAll("<", "\\u003c");
  return `<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escape(failure.kind)}</title>
<style>${STYLE}</style>
<header>
<h1>${escape(failure.kind)}</h1>
<pre>${escape(failure.message)}</pre>
${accesses.join("\n")}
<p>replay: <code>${escape(replay)}</code></p>
</header>
<main>
<figure tabindex="0" aria-label="Schedule">
${diagram(steps, threads)}
<figcaption>Time runs downward; a red arrow means “happens before”, between threads.</figcaption>
</figure>
<aside hidden>
<p class="keys"><kbd>↑</kbd> <kbd>↓</kbd> step, <kbd>PgUp</kbd> <kbd>PgDn</kbd> other thread,
<kbd>Home</kbd> <kbd>End</kbd></p>
<input type="range" min="1" max="${Math.max(1, steps.length)}" aria-label="Step">
<section id="step"></section>
<table id="memory"><caption>Memory after this step</caption><tbody></tbody></table>
</aside>
</main>
<script type="application/json" id="data">${data}</script>
<script>${SCRIPT}</script>
</html>
`;
}

/** The space-time diagram. */
function diagram(steps: readonly Step[], threads: readonly string[]): string {
  const x = (name: string) => LEFT + threads.indexOf(name) * COLUMN;
  const y = (step: number) => TOP + step * ROW;
  const width = LEFT + threads.length * COLUMN + 40;
  const height = TOP + steps.length * ROW + 20;
  const lifelines = threads.map((name) =>
    `<text class="thread" x="${x(name)}" y="24">${escape(name)}</text>` +
    `<line class="life" x1="${x(name)}" y1="34" x2="${x(name)}" y2="${height - 10}"/>`
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
  const events = steps.map((step, i) => {
    const left = x(step.thread);
    const plain = step.accessesBefore.length + step.accesses.length;
    const more = plain === 0 ? "" : ` (+${plain} plain)`;
    const place = `${i + 1}. ${placeOf(step.lines)}${more}`;
    return `<g class="event" data-step="${i}"><title>${escape(step.lines.join("\n"))}</title>` +
      `<circle cx="${left}" cy="${y(i)}" r="5"/>` +
      `<text x="${left + 12}" y="${y(i) - 1}">${escape(shortened(step.operation))}</text>` +
      `<text class="line" x="${left + 12}" y="${y(i) + 12}">${escape(shortened(place))}</text></g>`;
  });
  return `<svg width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">
<defs><marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7"
 orient="auto"><path d="M0 0 8 4 0 8z" fill="#c33"/></marker></defs>
${lifelines.join("\n")}
${edges.join("\n")}
${events.join("\n")}
</svg>`;
}

/** Text that fits a column; the panel shows it in full. */
function shortened(text: string): string {
  return text.length <= MAX_TEXT ? text : `${text.slice(0, MAX_TEXT - 1)}…`;
}

const MAX_TEXT = 38;

function escape(text: string): string {
  return text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
}
