import type { Area, Sync, SyncOutcome, SyncPlan } from '@filesync/archive'
import { equalDigests, FileSyncError, LIMITS, PACK_RECORD_BYTES, writePackRecord } from '@filesync/protocol'
import type { HashBytes, Hasher, RelativePath } from '@filesync/protocol'
import { buildTree, compareTree } from './file-tree.ts'
import type { PlainFile } from './file-tree.ts'

/** A small file that has arrived, or a large one that is arriving. */
export interface LegacyArrival extends PlainFile {
  readonly path: RelativePath
  readonly content: Uint8Array | AsyncIterable<Uint8Array>
}

export interface StoreFilesInit {
  readonly area: Area
  /** All that the client has and the archive holds, or will hold with `arriving`. */
  readonly files: ReadonlyMap<RelativePath, PlainFile>
  readonly arriving: readonly LegacyArrival[]
  /** Whether what is not in `files` leaves for versions. */
  readonly complete: boolean
  readonly hash: HashBytes
  readonly createHasher: () => Hasher
}

/**
 * One sync of the archive, so that the original's files come under the same rules as all: staged, verified, committed as
 * a whole, replaced ones kept as versions. Content that the archive does not want is read and dropped. Throws HALTED,
 * ARCHIVE_FULL, SERVER_BUSY, and what reading content throws; whole files are committed then.
 */
export async function storeFiles (init: StoreFilesInit): Promise<SyncOutcome> {
  const sync = await init.area.beginSync()
  try {
    const tree = buildTree(init.files, init.hash)
    if (!equalDigests(tree.rootDigest, sync.rootDigest)) {
      compareTree(sync, tree)
      await stage(sync, sync.plan({ complete: init.complete, resume: false }), init)
    } else {
      for (const { content } of init.arriving) await drop(content)
    }
    return await sync.finish()
  } catch (error) {
    await sync.abandon()
    throw error
  }
}

async function stage (sync: Sync, plan: SyncPlan, init: StoreFilesInit): Promise<void> {
  const arriving = new Map(init.arriving.map(file => [file.path, file]))
  const small: { readonly task: number, readonly content: Uint8Array }[] = []
  const large: { readonly task: number, readonly content: AsyncIterable<Uint8Array> }[] = []
  for (let task = 0; task < plan.taskCount; task++) {
    const { path } = plan.describe(task)
    const content = arriving.get(path)?.content
    if (content === undefined) continue
    arriving.delete(path)
    if (content instanceof Uint8Array) small.push({ task, content })
    else large.push({ task, content })
  }
  for (const pack of packs(small, init.hash)) await sync.stagePack(pack)
  for (const { task, content } of large) await stageStream(sync, { task, content, hasher: init.createHasher() })
  for (const { content } of arriving.values()) {
    // There is no way to tell the original client to leave it out, and reading all of it would keep the session for nothing.
    if (plan.unfit > 0 && !(content instanceof Uint8Array)) {
      throw new FileSyncError('ARCHIVE_FULL', 'The archive has no room for a file. Free some space on the server, or start it with a larger --quota or a lower --reserve.')
    }
    await drop(content)
  }
}

async function stageStream (sync: Sync, { task, content, hasher }: { task: number, content: AsyncIterable<Uint8Array>, hasher: Hasher }): Promise<void> {
  const file = await sync.beginFile(task, 0)
  try {
    for await (const piece of content) {
      hasher.update(piece)
      // The sync takes the buffer, and this one may hold what follows the file. Not by slice, which copies nothing of a Buffer.
      await file.write(new Uint8Array(piece))
    }
  } catch (error) {
    await file.abandon()
    throw error
  }
  await file.finish(hasher.digest())
}

/** Packs, each alone in its buffer, as a sync takes them. */
function * packs (files: readonly { readonly task: number, readonly content: Uint8Array }[], hash: HashBytes): Generator<Uint8Array<ArrayBuffer>, void, undefined> {
  for (let first = 0; first < files.length;) {
    let end = first
    let sizeBytes = 0
    for (let file = files[end]; file !== undefined; file = files[++end]) {
      const recordBytes = PACK_RECORD_BYTES + file.content.length
      if (end > first && sizeBytes + recordBytes > LIMITS.rawFrameBytes) break
      sizeBytes += recordBytes
    }
    const pack = new Uint8Array(sizeBytes)
    let at = 0
    for (const { task, content } of files.slice(first, end)) {
      writePackRecord(pack, at, { task, sizeBytes: content.length, digest: hash(content) })
      pack.set(content, at + PACK_RECORD_BYTES)
      at += PACK_RECORD_BYTES + content.length
    }
    yield pack
    first = end
  }
}

async function drop (content: LegacyArrival['content']): Promise<void> {
  if (content instanceof Uint8Array) return
  for await (const _ of content) { /* the bytes behind it belong to the next file */ }
}
