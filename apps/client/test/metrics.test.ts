import { expect, onTestFinished, test } from 'vitest'
import type { ClientStatus } from '../src/status/control-routes.ts'
import { ClientMetrics } from '../src/status/metrics.ts'
import type { PushResult } from '../src/push/push-result.ts'

const STARTED: ClientStatus = {
  version: '1', folders: [], server: null, startedAt: '2026-01-01T00:00:00.000Z', activity: { doing: 'connecting' },
  watch: { mode: 'watching', why: undefined }, last: null, lastCompleteAt: null, nextSyncAt: null, cloned: false,
}

const RUN: PushResult = {
  result: 'problems', filesSent: 1, filesDeleted: 0, filesRenamed: 0, filesTotal: 7, bytesTotal: 90, bytesSent: 5, bytesReceived: 6,
  durationMs: 1,
  nextSyncAt: null, problems: [], problemCount: 2, leftOutCount: 3,
}

test('unknown values are absent, and values from before a restart are present', async () => {
  let status = STARTED
  const metrics = new ClientMetrics()
  const port = await metrics.serve({ host: '127.0.0.1', port: 0 }, () => status)
  onTestFinished(async () => { await port.close() })
  const shown = async (): Promise<Map<string, string>> => {
    const response = await fetch(`http://127.0.0.1:${port.port}/metrics`)
    const lines = (await response.text()).split('\n').filter(line => line.startsWith('filesync_'))
    return new Map(lines.map(line => [line.slice(0, line.lastIndexOf(' ')), line.slice(line.lastIndexOf(' ') + 1)]))
  }
  const names = [
    'last_run_timestamp_seconds', 'last_complete_timestamp_seconds', 'next_sync_timestamp_seconds', 'problems', 'left_out',
    'tree_files', 'tree_bytes',
  ]
  const valuesOf = async (): Promise<(string | undefined)[]> => {
    const all = await shown()
    return names.map(name => all.get(`filesync_client_${name}`))
  }
  expect(await valuesOf()).toEqual(names.map(() => undefined))
  expect([...(await shown()).keys()].filter(name => !name.startsWith('filesync_client_'))).toEqual([])

  status = { ...STARTED, lastCompleteAt: '2025-12-31T00:00:00.000Z' }
  expect(await valuesOf()).toEqual([undefined, '1767139200', undefined, undefined, undefined, undefined, undefined])

  metrics.countRun(RUN)
  status = { ...status, last: { atMs: 5_000, result: RUN }, nextSyncAt: '2026-01-01T00:00:00.000Z' }
  expect(await valuesOf()).toEqual(['5', '1767139200', '1767225600', '2', '3', '7', '90'])

  metrics.countRun({ ...RUN, result: 'failed', problemCount: 0, leftOutCount: 0, filesTotal: 0, bytesTotal: 0 })
  expect(await valuesOf()).toEqual(['5', '1767139200', '1767225600', '2', '3', '7', '90'])
})
