import { FloatRing } from "@busbar/busbar/channel";

const context = new AudioContext();
await context.audioWorklet.addModule(new URL("./player.js", import.meta.url));
export const ring = FloatRing.create({ capacity: 8192 }); // any one thread: ring.push(block)
const node = new AudioWorkletNode(context, "player", { processorOptions: ring.handle });
node.connect(context.destination);
