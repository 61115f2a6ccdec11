import type { Area, Sync, SyncOutcome, SyncPlan } from '@filesync/archive'
import { equalDigests, FileSyncError, LIMITS, PACK_RECORD_BYTES, writePackRecord } from '@filesync/protocol'
import type { HashBytes, Hasher, RelativePath } from '@filesync/protocol'
import { buildTree, compareTree } from './file-tree.ts'
import type { PlainFile } from './file-tree.ts'

/** A small file that has arrived, or a large one that is still arriving. */
export interface LegacyArrival extends PlainFile {
  readonly path: RelativePath
  readonly content: Uint8Array | AsyncIterable<Uint8Array>
}

export interface StoreFilesInit {
  readonly area: Area
  /** All files that client and archive both have once `arriving` is stored. */
  readonly files: ReadonlyMap<RelativePath, PlainFile>
  readonly arriving: readonly LegacyArrival[]
  /** Whether files that are not in `files` move to versions. */
  readonly complete: boolean
  readonly hash: HashBytes
  readonly createHasher: () => Hasher
}

/**
 * Runs one sync of the archive, so that legacy files follow the same rules as all others: staged, verified, committed together,
 * replaced ones kept as versions. Content that the archive does not want is read and discarded. Throws HALTED, ARCHIVE_FULL,
 * SERVER_BUSY, and what reading content throws; files that arrived completely are committed even then.
 */
export async function storeFiles (init: StoreFilesInit): Promise<SyncOutcome> {
  const sync = await init.area.beginSync()
  try {
    const tree = buildTree(init.files, init.hash)
    if (!equalDigests(tree.rootDigest, sync.rootDigest)) {
      compareTree(sync, tree)
      await stage(sync, sync.plan({ complete: init.complete, resume: false }), init)
    } else {
      for (const { content } of init.arriving) await discard(content)
    }
    return await sync.finish()
  } catch (error) {
    await sync.abandon()
    throw error
  }
}

interface SmallFile {
  readonly task: number
  readonly content: Uint8Array
}

interface LargeFile {
  readonly task: number
  readonly content: AsyncIterable<Uint8Array>
}

async function stage (sync: Sync, plan: SyncPlan, init: StoreFilesInit): Promise<void> {
  const arriving = new Map(init.arriving.map(file => [file.path, file]))
  const small: SmallFile[] = []
  const large: LargeFile[] = []
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
    // The original protocol cannot ask the client to skip a file, and reading all of a large one would block the session for nothing.
    if (plan.unfit > 0 && !(content instanceof Uint8Array)) {
      throw new FileSyncError(
        'ARCHIVE_FULL',
        'The archive has no room for a file. Free some space on the server, or start it with a larger --quota or a lower --reserve.',
      )
    }
    await discard(content)
  }
}

async function stageStream (
  sync: Sync, { task, content, hasher }: LargeFile & { readonly hasher: Hasher },
): Promise<void> {
  const file = await sync.beginFile(task, 0)
  try {
    for await (const piece of content) {
      hasher.update(piece)
      // The sync takes ownership of the buffer, which may also hold what follows the file, so copy it. Buffer.slice does not copy.
      await file.write(new Uint8Array(piece))
    }
  } catch (error) {
    await file.abandon()
    throw error
  }
  await file.finish(hasher.digest())
}

/** Packs small files. Each pack has its own buffer, because the sync takes ownership of it. */
function * packs (files: readonly SmallFile[], hash: HashBytes): Generator<Uint8Array<ArrayBuffer>, void, undefined> {
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

async function discard (content: LegacyArrival['content']): Promise<void> {
  if (content instanceof Uint8Array) return
  for await (const _ of content) { /* the bytes after it belong to the next file */ }
}
