const root = Deno.args[0]!;
const m = await import(`${root}/mod.ts`) as any;
const { Broadcast, BufferPool } = m;
const only = Deno.args[1];
function least(name: string, n: number, f: (n: number) => unknown) {
  if (only && !name.includes(only)) return;
  let b = 1e9;
  for (let r = 0; r < 40; r++) {
    const s = performance.now();
    f(n);
    b = Math.min(b, (performance.now() - s) / n * 1e6);
  }
  console.log(b.toFixed(2).padStart(9), name);
}
for (const size of [8, 64, 256, 1024]) {
  const ring = Broadcast.create({ capacityBytes: 1 << 18 });
  const w = ring.writer(), r = ring.reader();
  const msg = new Uint8Array(size);
  const per = Math.floor(65536 / (size + 8));
  least(`append ${size}`, per * 40, (n) => {
    for (let k = 0; k < n / per; k++) {
      for (let i = 0; i < per; i++) w.append(msg);
      w.publish();
    }
    return 0;
  });
  const r2 = ring.reader();
  r2.poll();
  least(`append+poll+next ${size}`, per * 40, (n) => {
    let got = 0;
    for (let k = 0; k < n / per; k++) {
      for (let i = 0; i < per; i++) w.append(msg);
      w.publish();
      while (r2.poll()) while (r2.next()) got += r2.length;
    }
    return got;
  });
}
{
  const ring = Broadcast.create({ capacityBytes: 1 << 16 });
  const r = ring.reader();
  const w = ring.writer();
  const msg = new Uint8Array(64);
  least("publish each, poll each 64", 200_000, (n) => {
    let h = 0;
    for (let i = 0; i < n; i++) {
      w.append(msg);
      w.publish();
      while (r.poll()) while (r.next()) h++;
    }
    return h;
  });
  least("poll empty", 2_000_000, (n) => {
    let h = 0;
    for (let i = 0; i < n; i++) if (r.poll()) h++;
    return h;
  });
  least("hasMoreHint", 2_000_000, (n) => {
    let h = 0;
    for (let i = 0; i < n; i++) if (r.hasMoreHint) h++;
    return h;
  });
}
{
  const pool = BufferPool.create({ bufferBytes: 1033, batchCount: 16 });
  const { bytes } = pool;
  least("acquire+release", 1_000_000, (n) => {
    for (let i = 0; i < n; i++) {
      const b = pool.acquire();
      bytes[pool.offsetOf(b)] = i;
      pool.release(b);
    }
  });
  least("packet", 1_000_000, (n) => {
    for (let i = 0; i < n; i++) {
      const p = pool.packet(pool.acquire(), 0, 16);
      bytes[p.byteOffset] = i;
      p.release();
    }
  });
}
