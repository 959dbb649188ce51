/**
 * Busbar: a message bus out of shared memory, for workers.
 *
 * @module
 */

export {};
