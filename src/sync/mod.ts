/**
 * How threads wait for one another: mutex, reader-writer lock, semaphore, latch, barrier, event
 * count, parker, and a queue of waiters with a set of the values that they wait for.
 *
 * @module
 */

export { Barrier, type BarrierHandle, type BarrierOptions } from "./barrier.ts";
export { EventCount, type EventCountHandle, type EventCountOptions } from "./event_count.ts";
export { Guard } from "./guard.ts";
export { Latch, type LatchHandle, type LatchOptions } from "./latch.ts";
export { Mutex, type MutexHandle, type MutexOptions } from "./mutex.ts";
export { Parker, type ParkerHandle, type ParkerOptions } from "./parker.ts";
export { RwLock, type RwLockHandle, type RwLockOptions } from "./rw_lock.ts";
export { Semaphore, type SemaphoreHandle, type SemaphoreOptions } from "./semaphore.ts";
export { type JoinOptions, ThreadWaiters } from "./thread_waiters.ts";
export { ValueSet, type ValueSetHandle, type ValueSetOptions } from "./value_set.ts";
export type { ValueStore } from "./value_store.ts";
export { WaiterQueue, type WaiterQueueHandle, type WaiterQueueOptions } from "./waiter_queue.ts";
