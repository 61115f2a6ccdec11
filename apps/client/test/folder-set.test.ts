import { mkdir, mkdtemp, rename, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Name } from '@filesync/protocol'
import { hashBytes, systemClock } from '@filesync/protocol/node'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { FolderRecord } from '../src/folders/folder-record.ts'
import { FolderSet } from '../src/folders/folder-set.ts'
import type { FolderMemories } from '../src/folders/folder-memory.ts'

let root: string
let set: FolderSet | undefined
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'folder-set-'))
  for (const name of ['docs', 'photos']) {
    await mkdir(join(root, name))
    await writeFile(join(root, name, 'file'), name)
    // Quiet for long, so that it counts as settled.
    await utimes(join(root, name, 'file'), 1_600_000_000, 1_600_000_000)
  }
})
afterEach(async () => {
  await set?.close()
  await rm(root, { recursive: true, force: true })
})

async function open (memories: FolderMemories, accept = false): Promise<FolderSet> {
  const folders = ['docs', 'photos'].map(name => ({ name: name as Name, root: join(root, name) }))
  set = await FolderSet.open({ folders, memories, accept, hash: hashBytes, clock: systemClock, settleMs: 0, ignore: { builtIn: true } })
  return set
}

const scan = async (): Promise<string[]> => {
  const tree = await set?.scan({ signal: new AbortController().signal })
  return tree?.folders.map(({ name }) => name) ?? []
}

/** What a client remembers after a complete run. */
async function memories (): Promise<FolderMemories> {
  const opened = await open(new Map())
  await scan()
  const record = new FolderRecord(opened, new Map())
  record.add({ result: 'ok', problems: [], problemCount: 0 }, 1)
  await opened.close()
  return record.memories(undefined)
}

test('a folder that was away while it would have been accepted is compared with the remembered one when it comes', async () => {
  const known = await memories()
  await rename(join(root, 'docs'), join(root, 'aside'))
  const opened = await open(known, true)
  expect(await scan()).toEqual(['photos'])
  opened.endAcceptance()
  // As a mount point without its disk.
  await mkdir(join(root, 'docs'))
  expect(await scan()).toEqual(['photos'])
  await rm(join(root, 'docs'), { recursive: true })
  await rename(join(root, 'aside'), join(root, 'docs'))
  expect(await scan()).toEqual(['docs', 'photos'])
})

test('a folder whose last run was halted is not complete', async () => {
  const opened = await open(new Map())
  await scan()
  const record = new FolderRecord(opened, new Map())
  const states = (): string[] => record.status().map(({ state }) => state)
  record.add({ result: 'ok', problems: [], problemCount: 0 }, 1)
  expect(states()).toEqual(['complete', 'complete'])
  record.add({ result: 'halted', problems: [], problemCount: 0 }, 2)
  expect(states()).toEqual(['incomplete', 'incomplete'])
  record.add({ result: 'failed', problems: [], problemCount: 0 }, 3)
  expect(states()).toEqual(['incomplete', 'incomplete'])
  record.add({ result: 'ok', problems: [], problemCount: 0 }, 4)
  expect(states()).toEqual(['complete', 'complete'])
})
