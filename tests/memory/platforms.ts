/**
 * Platforms that have less than this one.
 *
 * @module
 */

/** Runs `make` as if the platform had no WebAssembly: what it makes copies by views. */
export function withoutWebAssembly<Result>(make: () => Result): Result {
  const scope = globalThis as { WebAssembly?: unknown };
  const proper = scope.WebAssembly;
  scope.WebAssembly = undefined;
  try {
    return make();
  } finally {
    scope.WebAssembly = proper;
  }
}
