/**
 * The command. Not written yet: it says so and exits with code 1.
 *
 * @module
 */

if (import.meta.main) {
  console.error("Cannot run the command as it is not written yet");
  Deno.exit(1);
}
