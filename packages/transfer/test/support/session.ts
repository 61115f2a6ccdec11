import { decodeListing, joinPath, ListingResponder, openConnection, ROOT_PATH } from '@filesync/protocol'
import type { ByteStream, Clock, Connection, FileEntry, Name, NextSync, RelativePath, Task, Tree } from '@filesync/protocol'
import { createHasher, hashBytes } from '@filesync/protocol/node'
import { ManualClock, memoryStreamPair } from '@filesync/protocol/testing'
import { plainCutFinder } from '../../src/gear.ts'
import { receiveFiles, sendFiles } from '../../src/index.ts'
import type { FileSource, ReceivedFiles, ReceiveFilesInit, SendFilesInit } from '../../src/index.ts'
import { SignatureBuilder } from '../../src/signature.ts'
import { MemoryStaging } from '../../src/testing/index.ts'
import type { MemoryStore } from '../../src/testing/index.ts'

export interface WantedEntry {
  readonly path: RelativePath
  readonly entry: FileEntry
  readonly at: readonly [listing: number, entry: number]
}

/** Has the client list its whole tree, and returns every file with the numbers by which tasks refer to it. */
export function listAll (tree: Tree): { answers: ListingResponder, files: WantedEntry[] } {
  const answers = new ListingResponder(tree, undefined)
  const files: WantedEntry[] = []
  let count = 0
  const visit = (directory: RelativePath, bytes: Uint8Array): void => {
    const listing = count++
    const directories: number[] = []
    const entries = decodeListing(bytes)
    entries.forEach((entry, index) => {
      if (entry.kind === 'file') files.push({ path: joinPath(directory, entry.name), entry, at: [listing, index] })
      if (entry.kind === 'directory') directories.push(index)
    })
    for (const index of directories) {
      const name = entries[index]?.name as Name
      for (const { bytes: below } of answers.answer([[listing, index]])) visit(joinPath(directory, name), below)
    }
  }
  for (const { bytes } of answers.answer([])) visit(ROOT_PATH, bytes)
  return { answers, files }
}

export function signatureOf (bytes: Uint8Array): Uint8Array {
  const builder = new SignatureBuilder({ averageBits: 16, cuts: plainCutFinder(16), hash: hashBytes })
  for (let at = 0; at < bytes.length; at += 300_000) builder.push(bytes.subarray(at, at + 300_000))
  return builder.finish()
}

export interface SyncInit {
  readonly tree: Tree
  readonly source: FileSource
  readonly store: MemoryStore
  readonly streams?: readonly [ByteStream, ByteStream]
  readonly clock?: Clock
  /** How a file is asked for. Default: whole, or the rest of a partial. */
  readonly how?: (file: WantedEntry, store: MemoryStore) => Task | undefined
  readonly client?: Partial<SendFilesInit>
  readonly server?: Partial<ReceiveFilesInit>
}

export interface SyncResult {
  readonly client: NextSync | Error
  readonly server: ReceivedFiles | Error
  readonly clientConnection: Connection
  readonly serverConnection: Connection
}

function wholeOrRest ({ path, at }: WantedEntry, store: MemoryStore): Task {
  const offset = store.partial.get(path)?.length
  return offset === undefined || offset === 0 ? at : [...at, 'RESUME', offset]
}

/** One sync of everything with both real sides over a memory pair. Whole staged files are committed even after a failure. */
export async function sync (init: SyncInit): Promise<SyncResult> {
  const { answers, files } = listAll(init.tree)
  const clock = init.clock ?? new ManualClock()
  const [left, right] = init.streams ?? memoryStreamPair()
  const clientConnection = openConnection({ stream: left, clock })
  const serverConnection = openConnection({ stream: right, clock })
  const wanted = files.flatMap(file => {
    const task = (init.how ?? wholeOrRest)(file, init.store)
    return task === undefined ? [] : [{ file, task }]
  })
  const fileOf = (task: number): WantedEntry => (wanted[task] as { file: WantedEntry }).file
  const staging = new MemoryStaging({ store: init.store, hashBytes, createHasher, pathOf: task => fileOf(task).path })
  const send = async (): Promise<NextSync> => {
    return await sendFiles({ connection: clientConnection, answers, source: init.source, clock, ...init.client })
  }
  const receive = async (): Promise<ReceivedFiles> => {
    const received = await receiveFiles({
      connection: serverConnection,
      tasks: wanted.map(({ task }) => task),
      describe: task => ({ path: fileOf(task).path, sizeBytes: fileOf(task).entry.sizeBytes }),
      signature: task => signatureOf(init.store.files.get(fileOf(task).path) as Uint8Array),
      staging,
      clock,
      ...init.server,
    })
    const { files, bytes, problems, problemCount } = received
    await serverConnection.send({
      type: 'NEXT_SYNC', inMs: 1000, result: problemCount > 0 ? 'PROBLEMS' : 'OK',
      stored: { files, bytes, deleted: 0, renamed: 0 }, problems, problemCount,
    })
    return received
  }
  const [client, server] = await Promise.all([ended(send, clientConnection), ended(receive, serverConnection)])
  staging.commit()
  return { client, server, clientConnection, serverConnection }
}

async function ended<T> (work: () => Promise<T>, connection: Connection): Promise<T | Error> {
  try {
    const result = await work()
    return result
  } catch (error) {
    await connection.close(error)
    return error as Error
  }
}
