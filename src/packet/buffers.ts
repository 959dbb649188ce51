/**
 * What this directory needs of a pool: buffers by number, without an object for any of them.
 *
 * @module
 */

import type { BufferPool } from "../pool/buffer_pool.ts";

/** The part of a {@link BufferPool} that writers, flushers and framers use. */
export type Buffers = Pick<
  BufferPool,
  | "bufferSize"
  | "totalBufferCount"
  | "bytes"
  | "offsetOf"
  | "tryAcquire"
  | "acquire"
  | "acquireAsync"
  | "retain"
  | "release"
  | "sendBuffer"
  | "receiveBuffer"
  | "flush"
  | "packet"
>;
