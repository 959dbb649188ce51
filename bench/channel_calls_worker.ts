/**
 * Answers calls with their double, over channels or by `comlink`, for `channel_bench.ts`.
 *
 * @module
 */

import * as comlink from "comlink";
import { type Line, serve } from "../examples/call/call.ts";

const double = (value: number): number => 2 * value;

addEventListener("message", (event) => {
  const { data } = event as MessageEvent<"comlink" | Line<number, number>>;
  if (data === "comlink") comlink.expose({ double });
  else void serve(data, double);
}, { once: true });
