/**
 * A worker of the demo whose hash task fails in the middle of the stream.
 *
 * @module
 */

import { type Task, TASKS } from "../../../src/cli/demo/tasks.ts";
import "../../../src/cli/demo/worker.ts";

let messages = 0;
const failing: Task = {
  take() {
    if (++messages === 100) throw new Error("failed on purpose");
  },
  result: () => ({ task: "hash", sha256: "" }),
};
Object.assign(TASKS, { hash: () => failing });
