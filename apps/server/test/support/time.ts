import type { TimeZone } from '@filesync/protocol'
import type { ManualClock } from '@filesync/protocol/testing'

/** A time zone that is UTC all year. */
export const UTC: TimeZone = { toUtcMs: wallMs => wallMs, toWallMs: utcMs => utcMs }

/** Lets callbacks of settled promises run. */
export async function settlePromises (): Promise<void> {
  await new Promise(resolve => { setImmediate(resolve) })
}

/** Advances a clock in steps of a second, so that both ends of a connection send their heartbeats. */
export async function passTime (clock: ManualClock, delayMs: number): Promise<void> {
  for (let leftMs = delayMs; leftMs > 0; leftMs -= 1000) {
    clock.advance(Math.min(1000, leftMs))
    await settlePromises()
  }
}
