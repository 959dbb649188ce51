/**
 * An AudioWorklet, which has neither timers nor a clock: imports everything, and polls
 * rings.
 *
 * @module
 */

import { Broadcast, type BroadcastReader, FloatRing } from "../../mod.ts";
import "../../model/mod.ts";

declare class AudioWorkletProcessor {
  readonly port: MessagePort;
}
declare function registerProcessor(name: string, processor: unknown): void;

class Reader extends AudioWorkletProcessor {
  readonly #reader: BroadcastReader;
  readonly #samples: FloatRing;
  readonly #block = new Float32Array(128);

  constructor({ processorOptions }: { processorOptions: { ring: never; samples: never } }) {
    super();
    this.#reader = Broadcast.attach(processorOptions.ring).reader({ from: "oldest" });
    this.#samples = FloatRing.attach(processorOptions.samples);
  }

  process(): boolean {
    if (!this.#samples.pop(this.#block)) return true;
    if (!this.#reader.poll() || !this.#reader.next()) return true;
    this.port.postMessage(`${this.#reader.message().join()}, ${this.#block[127]}`);
    return false;
  }
}

registerProcessor("busbar-reader", Reader);
