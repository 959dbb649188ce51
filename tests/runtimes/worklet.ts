/**
 * An AudioWorklet, which has neither timers nor a clock: imports everything, and polls a ring.
 *
 * @module
 */

import { Broadcast, type BroadcastReader } from "../../mod.ts";
import "../../model/mod.ts";

declare class AudioWorkletProcessor {
  readonly port: MessagePort;
}
declare function registerProcessor(name: string, processor: unknown): void;

class Reader extends AudioWorkletProcessor {
  readonly #reader: BroadcastReader;

  constructor({ processorOptions }: { processorOptions: never }) {
    super();
    this.#reader = Broadcast.attach(processorOptions).reader({ from: "oldest" });
  }

  process(): boolean {
    if (!this.#reader.poll() || !this.#reader.next()) return true;
    this.port.postMessage(this.#reader.message().join());
    return false;
  }
}

registerProcessor("busbar-reader", Reader);
