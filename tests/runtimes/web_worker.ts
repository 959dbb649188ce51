/**
 * A worker of the suite, in Deno and in pages.
 *
 * @module
 */

import { perform, type Task } from "./bodies.ts";

declare const self: Worker;

self.onmessage = (event: MessageEvent<Task>) => self.postMessage(perform(event.data));
