/**
 * A worker of the demo whose hash task fails in the middle of the stream.
 *
 * @module
 */

import type { Task } from "../../../src/cli/demo/task.ts";
import { beginTask, type TaskName } from "../../../src/cli/demo/tasks.ts";
import { carryOut, type News, type Order } from "../../../src/cli/demo/worker.ts";

const scope = globalThis as unknown as {
  onmessage: (event: MessageEvent<Order>) => void;
  postMessage(news: News): void;
};

function begin(name: TaskName): Task {
  const task = beginTask(name);
  if (name !== "hash") return task;
  let messages = 0;
  return {
    take() {
      if (++messages === 100) throw new Error("no more of this");
    },
    skip() {},
    result: () => task.result(),
  };
}

scope.onmessage = ({ data }) => carryOut(data, (news) => scope.postMessage(news), begin);
