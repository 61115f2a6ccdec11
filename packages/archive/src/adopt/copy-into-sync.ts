import { FileSyncError, LIMITS, PACK_RECORD_BYTES, problem, writePackRecord } from '@filesync/protocol'
import type { HashBytes, ProblemList } from '@filesync/protocol'
import type { Sync } from '../sync-contract.ts'
import type { CopiedFile, ExistingCopy } from '../store/existing-copy.ts'

interface SmallFile {
  readonly task: number
  readonly content: Uint8Array
}

/** Packs staged at the same time, so that reading and writing overlap. */
const PACKS_AT_ONCE = 3

export interface CopyOptions {
  readonly hash: HashBytes
  /** Collects files that cannot be read. */
  readonly problems: ProblemList
  readonly signal: AbortSignal | undefined
}

/** Reads the files that a sync asks for from a copy, and stages them. */
export async function copyIntoSync (sync: Sync, copy: ExistingCopy, { hash, problems, signal }: CopyOptions): Promise<void> {
  const plan = sync.plan({ complete: false })
  const small: SmallFile[] = []
  const staging = new Set<Promise<unknown>>()
  let bytes = 0
  const flush = async (atOnce: number): Promise<void> => {
    if (small.length > 0) {
      const staged = sync.stagePack(makePack(small.splice(0), hash)).finally(() => { staging.delete(staged) })
      // The race below reports the error.
      staged.catch(() => { /* reported below */ })
      staging.add(staged)
    }
    bytes = 0
    while (staging.size > atOnce) await Promise.race(staging)
  }
  let task = 0
  for (const [, , how, argument] of plan.tasks) {
    signal?.throwIfAborted()
    const wanted = plan.describe(task)
    const { path, sizeBytes } = wanted
    try {
      if (sizeBytes > LIMITS.packedFileBytes) await stream(sync, copy, { task, wanted, offset: how === 'RESUME' ? argument : 0 })
      else small.push({ task, content: await readWhole(copy, wanted) })
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error
      problems.add(problem(path, error.code, error.message))
    }
    bytes += sizeBytes > LIMITS.packedFileBytes ? 0 : PACK_RECORD_BYTES + sizeBytes
    if (bytes > LIMITS.rawFrameBytes - PACK_RECORD_BYTES - LIMITS.packedFileBytes) await flush(PACKS_AT_ONCE)
    task++
  }
  await flush(0)
}

class Unreadable extends Error {
  readonly code: 'CHANGED_DURING_READ' | 'UNREADABLE'

  constructor (code: Unreadable['code'], message: string) {
    super(message)
    this.code = code
  }
}

type Wanted = ReturnType<ReturnType<Sync['plan']>['describe']>

function openCopy (copy: ExistingCopy, { path, sizeBytes, mtimeNs }: Wanted): CopiedFile {
  let file: CopiedFile
  try {
    file = copy.open(path)
  } catch (error) {
    if (error instanceof FileSyncError) throw error
    throw new Unreadable('UNREADABLE', 'it cannot be opened in the copy')
  }
  if (file.sizeBytes === sizeBytes && file.mtimeNs === mtimeNs) return file
  file.close()
  throw new Unreadable('CHANGED_DURING_READ', 'its size or mtime changed after it was listed')
}

function checkUnchanged (file: CopiedFile, readBytes: number, sizeBytes: number): void {
  if (readBytes < sizeBytes) throw new Unreadable('CHANGED_DURING_READ', 'it shrank while it was read')
  if (!file.isUnchanged()) throw new Unreadable('CHANGED_DURING_READ', 'it was written to while it was read')
}

async function nextOf (file: CopiedFile): Promise<Uint8Array<ArrayBuffer> | undefined> {
  try {
    return await file.read()
  } catch {
    throw new Unreadable('UNREADABLE', 'it cannot be read completely in the copy')
  }
}

async function readWhole (copy: ExistingCopy, wanted: Wanted): Promise<Uint8Array> {
  const { sizeBytes } = wanted
  const file = openCopy(copy, wanted)
  try {
    const whole = new Uint8Array(sizeBytes)
    let at = 0
    for (let piece = await nextOf(file); piece !== undefined; piece = await nextOf(file)) {
      if (at + piece.length > sizeBytes) throw new Unreadable('CHANGED_DURING_READ', 'it grew while it was read')
      whole.set(piece, at)
      at += piece.length
    }
    checkUnchanged(file, at, sizeBytes)
    return whole
  } finally {
    file.close()
  }
}

interface LargeFile {
  readonly task: number
  readonly wanted: Wanted
  /** Bytes that are staged already. */
  readonly offset: number
}

async function stream (sync: Sync, copy: ExistingCopy, { task, wanted, offset }: LargeFile): Promise<void> {
  const { sizeBytes } = wanted
  const file = openCopy(copy, wanted)
  try {
    const staged = await sync.beginFile(task, offset)
    try {
      let at = 0
      for (let piece = await nextOf(file); piece !== undefined; piece = await nextOf(file)) {
        const known = Math.min(piece.length, Math.max(0, offset - at))
        at += piece.length
        if (at > sizeBytes) throw new Unreadable('CHANGED_DURING_READ', 'it grew while it was read')
        // The sync takes ownership of the buffer. What an interrupted call staged is not written again.
        if (known < piece.length) await staged.write(known === 0 ? piece : piece.slice(known))
      }
      checkUnchanged(file, at, sizeBytes)
    } catch (error) {
      await staged.abandon()
      throw error
    }
    await staged.finish(file.digest())
  } finally {
    file.close()
  }
}

function makePack (files: readonly SmallFile[], hash: HashBytes): Uint8Array<ArrayBuffer> {
  const pack = new Uint8Array(files.reduce((sum, { content }) => sum + PACK_RECORD_BYTES + content.length, 0))
  let at = 0
  for (const { task, content } of files) {
    writePackRecord(pack, at, { task, sizeBytes: content.length, digest: hash(content) })
    pack.set(content, at + PACK_RECORD_BYTES)
    at += PACK_RECORD_BYTES + content.length
  }
  return pack
}
