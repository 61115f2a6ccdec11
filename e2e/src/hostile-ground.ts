import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { openArchive } from '@filesync/archive/node'
import type { Archive } from '@filesync/archive'
import { pushSession } from '@filesync/client'
import type { PushableTree, PushDependencies } from '@filesync/client'
import { isFileSyncError, LIMITS, openConnection } from '@filesync/protocol'
import type { ByteStream, Clock, Connection, Name, NextSync } from '@filesync/protocol'
import { createHasher, hashBytes, systemClock } from '@filesync/protocol/node'
import { memoryStreamPair, memoryTree } from '@filesync/protocol/testing'
import type { MemoryStreamInit, TreeLiteral } from '@filesync/protocol/testing'
import { SafeCheckDesk, serveSession, SessionQueue } from '@filesync/server'
import { zstdDecompress } from '@filesync/transfer/node'
import { MemorySource } from '@filesync/transfer/testing'
import { SCRATCH } from './programs.ts'
import { describeTree } from './trees.ts'

/** How a real side took what it was told: what the session resolved with, or the code of the error that ended it. */
export type Taken = NextSync | string

/** The folder that the trees of these clients are in. */
export const FOLDER: Name = 'folder' as Name

export interface ServeOptions {
  readonly clock?: Clock
  readonly queue?: SessionQueue
  readonly identity?: string
}

/** An archive on disk, with a tree beside it that must not change, served by sessions of the real server. */
export class Ground {
  readonly root: string
  readonly #archive: Archive
  readonly #stopped = new AbortController()
  readonly #queue = new SessionQueue({ maxActive: 8, maxWaiting: 8, clock: systemClock })
  #canary: Record<string, string> = {}

  private constructor (root: string, archive: Archive) {
    this.root = root
    this.#archive = archive
  }

  static async open (): Promise<Ground> {
    const root = await mkdtemp(join(SCRATCH, 'filesync-hostile-'))
    await mkdir(join(root, 'canary', 'below'), { recursive: true })
    await writeFile(join(root, 'canary', 'file'), 'nobody writes here')
    await writeFile(join(root, 'canary', 'below', 'secret'), 'nor here')
    const archive = await openArchive({
      root: join(root, 'archive'),
      keepMs: 86_400_000,
      deletions: 'mirror',
      clock: systemClock,
      signal: new AbortController().signal,
      reserveBytes: 0,
    })
    const ground = new Ground(root, archive)
    ground.#canary = await describeTree(join(root, 'canary'))
    return ground
  }

  async close (): Promise<void> {
    this.#stopped.abort()
    await this.#archive.close()
    await rm(this.root, { recursive: true, force: true })
  }

  /** Serves one session of the real server. Anything but a FileSyncError that comes out of it is thrown on. */
  async serve (
    stream: ByteStream,
    area: string,
    { clock = systemClock, queue = this.#queue, identity = area }: ServeOptions = {}
  ): Promise<Taken> {
    const connection = openConnection({ stream, clock })
    return await ended(
      connection,
      serveSession(
        connection,
        { identity, area },
        {
          queue,
          openArea: async name => await this.#archive.area(name),
          safeChecks: new SafeCheckDesk(async name => await this.#archive.area(name)),
          hash: hashBytes,
          decompress: zstdDecompress,
          clock,
          signal: this.#stopped.signal,
          software: 'test',
          serverName: 'test',
          policy: { mode: 'mirror', maxFileBytes: LIMITS.fileBytes },
          newSessionName: () => 'session',
          nextSyncInMs: () => 1000,
        }
      )
    )
  }

  /** One session of an honest client. */
  async honest (area: string, literal: TreeLiteral, options: ServeOptions = {}): Promise<Taken> {
    return (await this.session(area, literal, options)).heard
  }

  /** The same over a given pair of streams, with what each side made of it. */
  async session (
    area: string,
    literal: TreeLiteral,
    { stream = {}, ...options }: ServeOptions & { readonly stream?: MemoryStreamInit } = {}
  ): Promise<SessionOutcome> {
    const [left, right] = memoryStreamPair(stream)
    const counted = [countBytes(left), countBytes(right)] as const
    const [heard, served] = await Promise.all([push(counted[0].stream, literal), this.serve(counted[1].stream, area, options)])
    return { heard, served, clientBytes: counted[0].written(), serverBytes: counted[1].written() }
  }

  /** Where an area keeps the folder of its client. */
  mirror (area: string): string {
    return join(this.root, 'archive', area, FOLDER)
  }

  /** Everything in the folder of a client, and whether its area has anything else. */
  async stored (area: string): Promise<Record<string, string>> {
    const all = await describeTree(join(this.root, 'archive', area))
    const beside = Object.keys(all).filter(path => path !== FOLDER && !path.startsWith(`${FOLDER}/`))
    if (beside.length > 0) throw new Error(`The area ${area} has more than its folder: ${beside.join(', ')}`)
    return await describeTree(this.mirror(area))
  }

  /** Whether the tree beside the archive is as it was, and the archive holds no area that was not given. */
  async isCanaryAlive (): Promise<boolean> {
    const now = await describeTree(join(this.root, 'canary'))
    return JSON.stringify(now) === JSON.stringify(this.#canary)
  }
}

/** What both sides of a session came to, and how many bytes each wrote. */
export interface SessionOutcome {
  readonly heard: Taken
  readonly served: Taken
  readonly clientBytes: number
  readonly serverBytes: number
}

function countBytes (stream: ByteStream): { readonly stream: ByteStream, readonly written: () => number } {
  let bytes = 0
  const counting: ByteStream = {
    read: async () => await stream.read(),
    write: async (piece, onReleased) => {
      bytes += piece.length
      await stream.write(piece, onReleased)
    },
    end: async () => { await stream.end() },
    destroy: reason => { stream.destroy(reason) },
  }
  return { stream: counting, written: () => bytes }
}

/** One session of the real client over a stream, with a given tree. */
export async function push (stream: ByteStream, literal: TreeLiteral, clock: Clock = systemClock): Promise<Taken> {
  const connection = openConnection({ stream, clock })
  return await ended(connection, pushTree(connection, literal, { clock }))
}

/** The session alone, over a connection that is there already. */
export async function pushTree (connection: Connection, literal: TreeLiteral, options: Partial<PushDependencies> = {}): Promise<NextSync> {
  const tree = folderTree(literal)
  return await pushFrom(connection, {
    scan: async () => tree,
    source: new MemorySource({ content: path => tree.content(path), hashBytes, createHasher }),
    ...options,
  })
}

/** A client's tree of one folder with this content. */
export function folderTree (literal: TreeLiteral): PushableTree & Pick<ReturnType<typeof memoryTree>, 'content'> {
  const tree = memoryTree({ [FOLDER]: literal }, hashBytes)
  const folders = [{ name: FOLDER, complete: true, files: tree.files }]
  return { ...tree, folders, complete: true, problems: [], problemCount: 0, isUnsettled: () => false }
}

/** The same with a tree and its content from elsewhere. */
export async function pushFrom (
  connection: Connection,
  from: Pick<PushDependencies, 'scan' | 'source'> & Partial<PushDependencies>
): Promise<NextSync> {
  const { next } = await pushSession(connection, {
    folders: [],
    clock: systemClock,
    signal: new AbortController().signal,
    software: 'test',
    limitBytesPerSecond: undefined,
    compression: 'never',
    onBusy () {
      /* nobody looks */
    },
    onReady () {
      /* nobody looks */
    },
    onProgress () {
      /* nobody looks */
    },
    ...from,
  })
  return next
}

/** Closes a connection as the programs do, and gives what its session came to. */
export async function ended (connection: Connection, session: Promise<NextSync | undefined>): Promise<Taken> {
  try {
    const next = await session
    await connection.close()
    return next ?? 'ANSWERED'
  } catch (error) {
    await connection.close(error)
    if (!isFileSyncError(error) || error.code === 'INTERNAL') throw error
    return error.code
  }
}
