import { setImmediate } from 'node:timers/promises'

/** Lets everything that is ready to run, run. Nothing in memory takes more turns than this. */
export async function turns (count = 5): Promise<void> {
  for (let turn = 0; turn < count; turn++) await setImmediate()
}
