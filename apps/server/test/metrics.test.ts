import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import type { Health, Status } from '../src/status/health.ts'
import type { PeerRow } from '../src/status/peer-row.ts'
import { ServerMetrics } from '../src/status/metrics.ts'

const README = readFileSync(new URL('../README.md', import.meta.url), 'utf8')

/** Every series of the README, as `name` or `name{label}`. */
function documented (): string[] {
  return [...README.matchAll(/^\| `filesync_server_([a-z_]+(?:\{[a-z]+\})?)` \|/gmu)].map(([, series = '']) => series).sort()
}

/** Every series of a server with one client, as the README writes them. */
async function served (): Promise<string[]> {
  const endedAt = '2026-11-22T10:30:00Z'
  const peer: Partial<PeerRow> = { client: 'laptop', lastCompleteAt: endedAt, lastEndedAt: endedAt, problemCount: 0, revokedAt: null }
  const disk = { totalBytes: 9, freeBytes: 5, reserveBytes: 1, quotaBytes: null, files: 2, bytes: 3, areas: [] }
  const status: Partial<Status> = { sessions: [], queue: [], peers: [peer as PeerRow], disk }
  const metrics = new ServerMetrics({ status: async () => status } as unknown as Health)
  metrics.noteSession({ result: 'ok', files: 1, bytes: 2, bytesSent: 3, bytesReceived: 4, durationMs: 5 })
  metrics.noteEvent({ event: 'synced' })
  metrics.noteRefusal('NOT_PAIRED')
  const port = await metrics.serve({ host: '127.0.0.1', port: 0 })
  const text = await (await fetch(`http://127.0.0.1:${port.port}/metrics`)).text()
  await port.close()
  const names = new Set<string>()
  for (const [, name = '', label] of text.matchAll(/^filesync_server_([a-z_]+)(?:\{([a-z]+)=.*\})? /gmu)) {
    // The README documents a histogram once; it has three series.
    if (/_duration_seconds_(?:bucket|sum)$/u.test(name)) continue
    names.add(`${name.replace(/_duration_seconds_count$/u, '_duration_seconds')}${label === undefined ? '' : `{${label}}`}`)
  }
  return [...names].sort()
}

test('the README lists every series that a server serves, with its labels', async () => {
  expect(await served()).toEqual(documented())
  expect(documented().length).toBeGreaterThan(10)
})
