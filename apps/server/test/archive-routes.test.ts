import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Archive } from '@filesync/archive'
import { openArchive } from '@filesync/archive/node'
import { isFileSyncError } from '@filesync/protocol'
import { ManualClock } from '@filesync/protocol/testing'
import { archiveRoutes } from '../src/archive/archive-operations.ts'

let folder: string
let archive: Archive
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'filesync-routes-'))
  const signal = new AbortController().signal
  archive = await openArchive({ root: folder, keepMs: 1, deletions: 'mirror', clock: new ManualClock(), signal })
})
afterAll(async () => {
  await archive.close()
  await rm(folder, { recursive: true })
})

const BODIES = [
  undefined, null, 7, [], {}, { client: 7 }, { client: '../x' }, { client: 'nobody' }, { client: 'nobody', path: '../x', at: 'x', to: 7 },
]
const ROUTES = ['POST /history', 'POST /restore', 'POST /release']

test.each(ROUTES)('%s rejects invalid requests with a FileSync error, and creates no area', async route => {
  for (const body of BODIES) {
    const answer = Promise.resolve(archiveRoutes(archive)[route]?.(body, new AbortController().signal))
    const error: unknown = await answer.then(() => undefined, (reason: unknown) => reason)
    expect(isFileSyncError(error), `${JSON.stringify(body)}: ${String(error)}`).toBe(true)
  }
  expect(archive.areas()).toEqual([])
})

test('verify ignores the folders that a file system keeps in its root', async () => {
  const verify = async (): Promise<unknown> => await archiveRoutes(archive)['POST /verify']?.({}, new AbortController().signal)
  await mkdir(join(folder, 'lost+found'))
  await mkdir(join(folder, 'System Volume Information'))
  expect(await verify()).toEqual([])
  await mkdir(join(folder, 'left by a client'))
  expect(await verify()).toMatchObject([{ client: 'left by a client', isKnown: false }])
})
