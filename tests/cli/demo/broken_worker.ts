/**
 * A worker that cannot even be started.
 *
 * @module
 */

throw new Error("broken on purpose");
