import { Broadcast } from "./src/broadcast/mod.ts";
const ring = Broadcast.create({ capacityBytes: 65536 } as any);
const reader = (ring as any).subscribe?.() ?? (ring as any).reader?.() ??
  (ring as any).createReader?.();
const N = 20_000_000;
let least = Infinity, leastP = Infinity;
let hits = 0;
const words = new Int32Array(new SharedArrayBuffer(64));
let leastW = Infinity, leastA = Infinity;
function spinHint(n: number) {
  let h = 0;
  for (let i = 0; i < n; i++) if (reader.hasMoreHint) h++;
  return h;
}
function spinWord(n: number) {
  let h = 0;
  for (let i = 0; i < n; i++) if (words[0] !== 0) h++;
  return h;
}
function spinAtomic(n: number) {
  let h = 0;
  for (let i = 0; i < n; i++) if (Atomics.load(words, 0) !== 0) h++;
  return h;
}
const buf: any = reader.createBatch?.(4096);
for (let r = 0; r < 15; r++) {
  let s = performance.now();
  hits += spinHint(N);
  least = Math.min(least, (performance.now() - s) / N * 1e6);
  s = performance.now();
  hits += spinWord(N);
  leastW = Math.min(leastW, (performance.now() - s) / N * 1e6);
  s = performance.now();
  hits += spinAtomic(N);
  leastA = Math.min(leastA, (performance.now() - s) / N * 1e6);
}
console.log("hint", least.toFixed(2), "word", leastW.toFixed(2), "atomic", leastA.toFixed(2), hits);
