import { expect, test } from 'vitest'
import { crowd } from '../src/crowd.ts'
import { Stage } from '../src/programs.ts'

/** With 500 it takes half a minute: FILESYNC_CROWD=500. */
const CLIENTS = Number(process.env['FILESYNC_CROWD'] ?? 60)
/** For each client that waits: a TLS connection, its buffers, and its place. */
const BYTES_EACH = 1 << 20
const SLACK_BYTES = 96 << 20

test(`${CLIENTS} clients at once are all served, in the order in which they came, in bounded memory`, { timeout: 120_000 }, async () => {
  const stage = await Stage.open()
  try {
    const { arrived, turns, served, failed, idleBytes, peakBytes } = await crowd(stage, { clients: CLIENTS })
    expect(failed).toEqual([])
    expect(served.length).toBe(CLIENTS)
    expect([...turns].sort()).toEqual([...served].sort())
    expect(turns).toEqual(arrived)
    expect(peakBytes - idleBytes).toBeLessThan(SLACK_BYTES + CLIENTS * BYTES_EACH)
  } finally {
    await stage.dispose()
  }
})
