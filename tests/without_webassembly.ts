/**
 * Makes this platform one that has no WebAssembly, so that all copies are made by views:
 *
 *     deno test -P --preload tests/without_webassembly.ts
 *
 * Memory that tests hand to workers is copied by views there, too.
 *
 * @module
 */

Reflect.deleteProperty(globalThis, "WebAssembly");
