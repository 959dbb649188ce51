/**
 * A worker that fails while its module is loaded.
 *
 * @module
 */

throw new Error("broken on purpose");
