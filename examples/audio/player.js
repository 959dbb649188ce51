import { FloatRing } from "@busbar/busbar/channel";

class Player extends AudioWorkletProcessor {
  process = (_inputs, [[left]]) => this.ring.pop(left) || true; // silence if samples are late
  constructor({ processorOptions }) {
    super();
    this.ring = FloatRing.attach(processorOptions);
  }
}
registerProcessor("player", Player);
