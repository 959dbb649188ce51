/**
 * A worker of the demo whose hash task fails in the middle of the stream.
 *
 * @module
 */

import { TASKS } from "../../../src/cli/demo/tasks.ts";
import "../../../src/cli/demo/worker.ts";

TASKS.hash = () => {
  let messages = 0;
  return {
    take() {
      if (++messages === 100) throw new Error("failed on purpose");
    },
    result: () => ({ task: "hash", sha256: "" }),
  };
};
