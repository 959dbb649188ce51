/**
 * Busbar: a message bus out of shared memory, for workers.
 *
 * @module
 */

export * from "./src/memory/mod.ts";
export * from "./src/record/mod.ts";
export * from "./src/sync/mod.ts";
export * from "./src/pool/mod.ts";
export * from "./src/broadcast/mod.ts";
export * from "./src/disruptor/mod.ts";
export * from "./src/channel/mod.ts";
export * from "./src/domain/mod.ts";
export * from "./src/framing/mod.ts";
export * from "./src/queue/mod.ts";
export * from "./src/slice/mod.ts";
