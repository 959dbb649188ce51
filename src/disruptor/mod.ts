/**
 * A ring of events with backpressure: one or several producers, and a graph of consumers.
 *
 * @module
 */

export type { WaitStrategy } from "./barrier.ts";
export {
  type AsyncBatchHandler,
  type BatchHandler,
  type EventHandler,
  RewindError,
  type RunOptions,
} from "./batch_run.ts";
export { Consumer, type Target } from "./consumer.ts";
export {
  type ConsumerOptions,
  Disruptor,
  type DisruptorAttachOptions,
  type DisruptorHandle,
  type DisruptorOptions,
  type EventsOf,
  type ObservedOf,
  type ObserverOptions,
  type ProducerOptions,
  type ValueOf,
} from "./disruptor.ts";
export type { Elements, SlotArrays, SlotType, SlotValue } from "./elements.ts";
export { DrainedError, HaltedError } from "./errors.ts";
export type { Graph, GraphOptions, Node, NodeOptions } from "./graph.ts";
export type { ClaimInspection, Inspection, NodeInspection } from "./inspection.ts";
export { EventObserver } from "./observer.ts";
export { Producer, type Values } from "./producer.ts";
export type { NodeReclaimOptions } from "./reclaiming.ts";
