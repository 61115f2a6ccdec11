import { encodeListing, encodeParts, ListingResponder, openConnection, ROOT_PATH } from '@filesync/protocol'
import type { Connection, Digest, Entry, FileEntry, Name, RelativePath, RestoreAnswer } from '@filesync/protocol'
import { createHasher, hashBytes, systemClock } from '@filesync/protocol/node'
import { memoryStreamPair } from '@filesync/protocol/testing'
import { sendAnswers } from '@filesync/transfer'
import type { FileFault } from '@filesync/transfer'
import { MemorySource } from '@filesync/transfer/testing'

export type Stored =
  | { readonly kind: 'file', readonly content: Uint8Array, readonly mode?: number, readonly fileId?: bigint, readonly mtimeNs?: bigint }
  | { readonly kind: 'directory', readonly mode?: number }
  | { readonly kind: 'symlink', readonly target: string }

const NO_DIGEST = new Uint8Array(32) as Digest
const MTIME_NS = 1_600_000_000_000_000_000n

type ReadHook = (path: RelativePath, content: Uint8Array) => Uint8Array | FileFault

/** The server's side of a restore, over a tree in memory. Its parts can be replaced by hostile ones. */
export class RestoreServer {
  readonly #tree: ReadonlyMap<string, Stored>
  /** Files that were sent with their content, over all connections. */
  readonly sent: string[] = []
  /** Replaces the content or refuses it, on the way out. */
  onRead: ReadHook = (_path, content) => content
  readonly serving: Promise<unknown>[] = []
  connections = 0

  constructor (tree: Readonly<Record<string, Stored>>) {
    this.#tree = new Map(Object.entries(tree))
  }

  /** A connection for the client after HELLO. */
  connect (): Connection {
    this.connections++
    const [left, right] = memoryStreamPair()
    const near = openConnection({ stream: right, clock: systemClock })
    this.serving.push(this.#serve(near).catch(async (error: unknown) => { await near.close(error) }))
    return openConnection({ stream: left, clock: systemClock })
  }

  get answer (): RestoreAnswer {
    const files = [...this.#tree.values()].filter(({ kind }) => kind !== 'directory').length
    const bytes = [...this.#tree.values()].reduce((sum, one) => sum + (one.kind === 'file' ? one.content.length : 0), 0)
    return { type: 'RESTORE_ANSWER', point: 'p1', atMs: 1_700_000_000_000, files, directories: 1, bytes, doubts: [], doubtCount: 0 }
  }

  async #serve (near: Connection): Promise<void> {
    await near.receive(['RESTORE_QUESTION'])
    await near.send(this.answer)
    const answers = new ListingResponder({
      rootDigest: NO_DIGEST, files: 0, directories: 1000, bytes: 0, listing: directory => this.listing(directory),
    }, undefined)
    const source = new MemorySource({ hashBytes, createHasher, content: path => this.#read(path) })
    for (;;) {
      const asked = await near.receive(['LISTINGS_WANTED', 'TASKS'])
      if (asked.type === 'LISTINGS_WANTED') {
        for (const payload of encodeParts(answers.answer(asked.directories), 60_000)) await near.sendRaw('LISTINGS', [payload])
      } else await sendAnswers({ connection: near, answers, firstPage: asked, source, clock: systemClock })
    }
  }

  #read (path: RelativePath): Uint8Array | FileFault | undefined {
    const stored = this.#tree.get(path)
    if (stored?.kind !== 'file') return undefined
    this.sent.push(path)
    return this.onRead(path, stored.content)
  }

  listing (directory: RelativePath): Uint8Array {
    const prefix = directory === ROOT_PATH ? '' : `${directory}/`
    const entries: Entry[] = []
    for (const [path, stored] of this.#tree) {
      if (!path.startsWith(prefix) || path.slice(prefix.length).includes('/') || path === directory) continue
      entries.push(entryOf(path.slice(prefix.length) as Name, stored))
    }
    return encodeListing(entries.sort((a, b) => a.name < b.name ? -1 : 1))
  }
}

function entryOf (name: Name, stored: Stored): Entry {
  if (stored.kind === 'directory') return { kind: 'directory', name, mtimeNs: MTIME_NS, mode: stored.mode ?? 0o755, digest: NO_DIGEST }
  if (stored.kind === 'symlink') return { kind: 'symlink', name, mtimeNs: MTIME_NS, target: stored.target }
  const { content, mode = 0o644, fileId = 0n, mtimeNs = MTIME_NS } = stored
  return { kind: 'file', name, mtimeNs, mode, sizeBytes: content.length, fileId } satisfies FileEntry
}
