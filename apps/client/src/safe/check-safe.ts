import type { Connection, FileVerdict, HashBytes } from '@filesync/protocol'
import type { FileSource } from '@filesync/transfer'
import { askServer } from './ask-server.ts'
import type { LocalCopy, UncheckedState } from './local-copies.ts'
import { readCopies } from './read-copies.ts'

/** Whether one path is safe, and why. */
export interface SafeResult {
  /** As in the archive: the name of the folder, and the path in it. */
  readonly path: string
  readonly safe: boolean
  readonly state: Lowercase<FileVerdict['verdict']> | UncheckedState | 'changing'
  /** As a sentence, for a person. */
  readonly reason: string
  /** Since when the server's copy has been durable, and when it was last verified; ISO 8601, by the server's clock. */
  readonly storedAt?: string
  readonly verifiedAt?: string
  /** Where the server read its copy from for this answer. */
  readonly read?: 'disk' | 'cache'
}

export interface SafeCheckInit {
  /** A connection on which `greetForSafeCheck` has finished. */
  readonly connection: Connection
  readonly source: FileSource
  readonly hash: HashBytes
  /** Makes the server read its copies again. */
  readonly fresh: boolean
}

/** Copies that are read and asked about together: those of one directory are mostly in one batch. */
const BATCH_COPIES = 2048
const BATCH_BYTES = 1 << 30
/** Bytes per batch if the server has to read its copies: small enough that other clients get their turn and answers arrive steadily. */
const FRESH_BATCH_BYTES = 256 << 20

/** Reads each copy, asks the server about it, and yields one result for each, in order. Throws what ends the connection. */
export async function * checkSafe (copies: Iterable<LocalCopy>, init: SafeCheckInit): AsyncGenerator<SafeResult, void, undefined> {
  for (const batch of batches(copies, init.fresh ? FRESH_BATCH_BYTES : BATCH_BYTES)) yield * await checkBatch(batch, init)
}

function * batches (copies: Iterable<LocalCopy>, maxBytes: number): Generator<LocalCopy[], void, undefined> {
  let batch: LocalCopy[] = []
  let bytes = 0
  for (const copy of copies) {
    const sizeBytes = copy.kind === 'file' ? copy.entry.sizeBytes : 0
    if (batch.length === BATCH_COPIES || (batch.length > 0 && bytes + sizeBytes > maxBytes)) {
      yield batch
      batch = []
      bytes = 0
    }
    batch.push(copy)
    bytes += sizeBytes
  }
  if (batch.length > 0) yield batch
}

async function checkBatch (batch: readonly LocalCopy[], init: SafeCheckInit): Promise<SafeResult[]> {
  const read = await readCopies(batch, init)
  const verdicts = await askServer(batch.map((copy, i) => {
    const found = read[i]
    if (copy.kind === 'unchecked' || found === undefined || !('digest' in found)) return copy
    const sizeBytes = copy.kind === 'file' ? copy.entry.sizeBytes : 0
    return { path: copy.path, kind: copy.kind, sizeBytes, digest: found.digest }
  }), init)
  const describe = describer()
  return batch.map((copy, i) => {
    const found = read[i]
    if (copy.kind === 'unchecked') return { path: copy.path, safe: copy.state === 'empty', state: copy.state, reason: copy.reason }
    if (found !== undefined && 'state' in found) return { path: copy.path, safe: false, ...found }
    return { path: copy.path, ...describe(verdicts[i] ?? ABSENT) }
  })
}

const REASONS: Readonly<Record<FileVerdict['verdict'], string>> = {
  SAFE: 'The server holds exactly this content.',
  ABSENT: 'The server does not hold it; "filesync-client why" may show the reason.',
  DIFFERENT: 'The server holds different content; push first.',
  ALTERED: 'The server\'s copy was modified or removed outside FileSync, or is being replaced right now; a later push repairs it.',
  DAMAGED: 'The server\'s copy is damaged; the next push repairs it.',
  OTHER: 'The server gave an answer that this version does not know; update the client and check again.',
}

const READ_FROM: Readonly<Record<NonNullable<FileVerdict['read']>, string>> = {
  DISK: ' from its disk',
  CACHE: ', possibly from its memory',
}

const ABSENT: FileVerdict = { verdict: 'ABSENT' }

type Description = Omit<SafeResult, 'path'>

/** Describes verdicts. Neighbors mostly have the same one. */
function describer (): (verdict: FileVerdict) => Description {
  let last: { readonly verdict: FileVerdict, readonly description: Description } | undefined
  return verdict => {
    if (last?.verdict !== verdict) last = { verdict, description: descriptionOf(verdict) }
    return last.description
  }
}

function descriptionOf ({ verdict, storedAtMs, verifiedAtMs, read }: FileVerdict): Description {
  const storedAt = storedAtMs === undefined ? undefined : isoOf(storedAtMs)
  const verifiedAt = verifiedAtMs === undefined ? undefined : isoOf(verifiedAtMs)
  const stored = storedAt === undefined ? '' : ` It has been stored durably since ${storedAt}.`
  const verified = verifiedAt === undefined ? '' : ` It was verified at ${verifiedAt}${read === undefined ? '' : READ_FROM[read]}.`
  return {
    safe: verdict === 'SAFE',
    state: verdict.toLowerCase() as Lowercase<typeof verdict>,
    reason: verdict === 'SAFE' ? `${REASONS.SAFE}${stored}${verified}` : REASONS[verdict],
    ...(storedAt !== undefined && { storedAt }),
    ...(verifiedAt !== undefined && { verifiedAt }),
    ...(read !== undefined && { read: read.toLowerCase() as Lowercase<typeof read> }),
  }
}

/** Undefined for a time from the peer that is outside the range of `Date`. */
function isoOf (timeMs: number): string | undefined {
  return timeMs <= 8.64e15 ? new Date(timeMs).toISOString() : undefined
}
