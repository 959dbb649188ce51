/**
 * A worker that imports a module, and tells when its top level has ended.
 *
 * @module
 */

declare const self: Worker;

self.onmessage = async ({ data }: MessageEvent<string>) => {
  await import(data);
  self.postMessage("imported");
};
