import { expect, test } from 'vitest'
import { describeStatus } from '../src/commands/status.ts'
import type { FolderStatus } from '../src/folders/folder-record.ts'
import type { ClientStatus } from '../src/status/control-routes.ts'

const FOLDER: FolderStatus = {
  name: 'home', path: '/home/u', state: 'complete', why: null, files: 3, bytes: 9, problemCount: 0, leftOut: [], leftOutCount: 0,
  lastCompleteAt: '2026-01-01T00:00:00.000Z',
}

const STATUS: ClientStatus = {
  version: '1', folders: [FOLDER], server: null, startedAt: '2026-01-01T00:00:00.000Z', activity: { doing: 'connecting' },
  watch: { mode: 'watching', why: undefined }, last: null, lastCompleteAt: null, nextSyncAt: null,
  cloned: false,
}

test('the status names the first entries that are left out in any folder, and counts the others', () => {
  expect(describeStatus(STATUS, 0)).not.toContain('left out')
  const leftOut = [{ path: 'home/agent\u001b', code: 'SPECIAL_FILE' as const, message: 'it is a socket' }]
  const folders = [{ ...FOLDER, leftOut, leftOutCount: 5 }, { ...FOLDER, name: 'photos', path: '/photos' }]
  const text = describeStatus({ ...STATUS, folders }, Date.parse('2026-01-01T00:00:05.000Z'))
  expect(text).toMatch(/^folders +home \(\/home\/u\): 3 files, 9 B; 5 entries left out; complete 5\.0 s ago$/mu)
  expect(text).toMatch(/^left out {3}home\/agent.*: it is a socket\n {11}and 4 more$/mu)
  expect(text).not.toContain('\u001b')
})

test('the status says in words how changes are noticed', () => {
  expect(describeStatus(STATUS, 0)).toMatch(/^changes +watching$/mu)
  const lost = describeStatus({ ...STATUS, watch: { mode: 'walking', why: 'The watched folder is gone.' } }, 0)
  expect(lost).toMatch(/^changes +noticed only by the next run: The watched folder is gone\.$/mu)
})
