/** Share of the interval by which clients are spread, so that those that met once do not meet for ever. */
const JITTER = 0.1

/**
 * When a client should come again.
 *
 * @param intervalMs the server's sync interval
 * @param random uniform from 0 to 1
 * @returns milliseconds from now, within 10 % of the interval
 */
export function nextSyncInMs (intervalMs: number, random: number): number {
  return Math.round(intervalMs * (1 + JITTER * (2 * random - 1)))
}
