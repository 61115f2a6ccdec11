import { expect, test } from 'vitest'
import { encodeParts, equalDigests, LIMITS, ListingResponder, openConnection } from '@filesync/protocol'
import type { Digest, RelativePath, StagedFile, StageOutcome, StagingArea, Task, Tasks } from '@filesync/protocol'
import { createHasher, hashBytes, systemClock } from '@filesync/protocol/node'
import { memoryStreamPair, memoryTree } from '@filesync/protocol/testing'
import { deltaTasks, receiveFiles, sendFiles } from '../src/index.ts'
import { MemorySource, MemoryStaging, MemoryStore } from '../src/testing/index.ts'

const FILES = Object.fromEntries(Array.from({ length: 40 }, (_, i) => {
  return [`f${String(i).padStart(2, '0')}`, `content ${String(i)}`.repeat(i * 3000)]
}))
const NAMES = Object.keys(FILES).sort()

interface Session {
  readonly asked: Tasks[]
  readonly staged: MemoryStaging
  readonly files: number
  readonly wanted: number[]
  readonly inFrames: number
}

/** A session in which the server asks for the digests of all files, and has other content for every third. */
async function session (): Promise<Session> {
  const tree = memoryTree(FILES, hashBytes)
  const [left, right] = memoryStreamPair()
  const [client, server] = [openConnection({ stream: left, clock: systemClock }), openConnection({ stream: right, clock: systemClock })]
  const answers = new ListingResponder(tree, hashBytes)
  for (const _ of encodeParts(answers.answer([]), 1 << 20)) { /* answers the root */ }
  const wanted: number[] = []
  const entryOf = (task: number): number => task < NAMES.length ? task : wanted[task - NAMES.length] ?? -1
  const pathOf = (task: number): RelativePath => (NAMES[entryOf(task)] ?? '') as RelativePath
  const staged = new MemoryStaging({ hashBytes, createHasher, store: new MemoryStore(), pathOf })
  let inFrames = 0
  const compare = async (task: number, digest: Digest): Promise<StageOutcome> => {
    // Results come out of order, as they do if some wait for a disk.
    if (task % 2 === 0) await new Promise(resolve => { setImmediate(resolve) })
    const isSame = equalDigests(digest, hashBytes(new TextEncoder().encode(FILES[NAMES[task] ?? '']))) && task % 3 !== 0
    if (!isSame) wanted.push(task)
    return isSame ? { task, bytes: 0 } : { task, bytes: 0, isWantedAgain: true }
  }
  const staging: StagingArea = {
    stagePack: async pack => await staged.stagePack(pack),
    compareDigests: async files => {
      inFrames += files.length
      return await Promise.all(files.map(async ({ task, digest }) => await compare(task, digest)))
    },
    beginFile: async (task, offset): Promise<StagedFile> => task >= NAMES.length ? await staged.beginFile(task, offset) : {
      write: async () => { throw new Error('content arrived') },
      copy: async () => { throw new Error('content arrived') },
      hole: async () => { throw new Error('content arrived') },
      abandon: async () => { /* nothing was started */ },
      finish: async digest => await compare(task, digest),
    },
  }
  const asked: Tasks[] = []
  const send = server.send.bind(server)
  server.send = async message => {
    if (message.type === 'TASKS') asked.push(message)
    await send(message)
  }
  const sizeOf = (task: number): number => FILES[pathOf(task)]?.length ?? 0
  const tasks = NAMES.map((_, i): Task => [0, i, 'DIGEST'])
  const receiving = receiveFiles({
    connection: server, staging, clock: systemClock, describe: task => ({ path: pathOf(task), sizeBytes: sizeOf(task) }),
    ...deltaTasks({ tasks, again: () => wanted.map((entry): Task => [0, entry]), sizeOf, present: async () => undefined }),
  }).then(async received => {
    const stored = { files: 0, bytes: 0, deleted: 0, renamed: 0 }
    await send({ type: 'NEXT_SYNC', inMs: 1000, result: 'OK', stored, problems: [], problemCount: 0 })
    return received
  })
  const source = new MemorySource({ content: path => tree.content(path), hashBytes, createHasher })
  const [received] = await Promise.all([receiving, sendFiles({ connection: client, answers, source, clock: systemClock })])
  await Promise.all([client.close(), server.close()])
  return { asked, staged, files: received.files, wanted, inFrames }
}

test('files with another digest are asked for whole, after all others in the same session', async () => {
  const { asked, staged, files, wanted, inFrames } = await session()
  // The digests of small files share frames, and each large one has messages of its own.
  expect(inFrames).toBe(NAMES.filter(name => (FILES[name]?.length ?? 0) <= LIMITS.packedFileBytes).length)
  expect(inFrames).toBeLessThan(NAMES.length)
  const pages = [[0, NAMES.length, false], [NAMES.length, wanted.length, true]]
  expect(asked.map(({ first, tasks, last }) => [first, tasks.length, last])).toEqual(pages)
  expect(asked[1]?.tasks).toEqual(wanted.map(entry => [0, entry]))
  expect([...wanted].sort((a, b) => a - b)).toEqual(NAMES.map((_, i) => i).filter(i => i % 3 === 0))
  expect(files).toBe(NAMES.length)
  expect([...staged.staged.keys()].sort()).toEqual(NAMES.filter((_, i) => i % 3 === 0))
})
