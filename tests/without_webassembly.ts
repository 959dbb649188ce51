/**
 * Forbids WebAssembly, as a page's content policy does, so that all copies are made by views:
 *
 *     deno test -P --preload tests/without_webassembly.ts
 *
 * Memory that tests hand to workers is copied by views there, too.
 *
 * @module
 */

WebAssembly.Module = class {
  constructor() {
    throw new EvalError("Refused to compile");
  }
} as unknown as typeof WebAssembly.Module;
