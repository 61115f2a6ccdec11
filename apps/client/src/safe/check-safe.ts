import { FileSyncError, LIMITS, problem } from '@filesync/protocol'
import type { Connection, Digest, FileVerdict, HashBytes, QuestionedFile } from '@filesync/protocol'
import type { FileFault, FileSource } from '@filesync/transfer'
import type { LocalCopy, UncheckedState } from './local-copies.ts'

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

/** Bytes per batch if the server has to read its copies: small enough that other clients get their turn and answers arrive steadily. */
const FRESH_BATCH_BYTES = 256 << 20
const PIECE_BYTES = 1 << 20

/** Reads each copy, asks the server about it, and yields one result for each, in order. Throws what ends the connection. */
export async function * checkSafe (copies: Iterable<LocalCopy>, init: SafeCheckInit): AsyncGenerator<SafeResult, void, undefined> {
  for (const batch of batches(copies, init.fresh ? FRESH_BATCH_BYTES : Infinity)) yield * await checkBatch(batch, init)
}

function * batches (copies: Iterable<LocalCopy>, maxBytes: number): Generator<LocalCopy[], void, undefined> {
  let batch: LocalCopy[] = []
  let bytes = 0
  for (const copy of copies) {
    const sizeBytes = copy.kind === 'file' ? copy.entry.sizeBytes : 0
    if (batch.length === LIMITS.filesPerQuestion || (batch.length > 0 && bytes + sizeBytes > maxBytes)) {
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
  const read = await readAll(batch, init)
  const files: QuestionedFile[] = []
  read.forEach((found, i) => {
    const copy = batch[i]
    if (copy === undefined || copy.kind === 'unchecked' || 'state' in found) return
    files.push({ path: copy.path, kind: copy.kind === 'file' ? 'FILE' : 'SYMLINK', digest: found.digest })
  })
  const verdicts = files.length === 0 ? [] : await ask(init, files)
  let next = 0
  return read.map((found, i) => 'state' in found ? found : resultOf(batch[i]?.path ?? '', verdicts[next++] ?? { verdict: 'ABSENT' }))
}

async function ask ({ connection, fresh }: SafeCheckInit, files: readonly QuestionedFile[]): Promise<readonly FileVerdict[]> {
  await connection.send({ type: 'SAFE_QUESTION', fresh, files })
  const answer = await connection.receive(['SAFE_ANSWER'])
  if (answer.files.length !== files.length) {
    throw new FileSyncError('MESSAGE_INVALID', `The server was asked about ${files.length} files and answered for ${answer.files.length}.`)
  }
  return answer.files
}

/** The digest of a local copy, or a result that needs no answer from the server. */
type LocalDigest = SafeResult | { readonly digest: Digest }

/** Reads as many copies at a time as the source reads in parallel. */
async function readAll (batch: readonly LocalCopy[], init: SafeCheckInit): Promise<LocalDigest[]> {
  const read: LocalDigest[] = []
  let next = 0
  await Promise.all(Array.from({ length: Math.max(1, init.source.parallelism) }, async () => {
    for (let at = next++; at < batch.length; at = next++) {
      const copy = batch[at]
      if (copy !== undefined) read[at] = await readOne(copy, init)
    }
  }))
  return read
}

async function readOne (copy: LocalCopy, { source, hash }: SafeCheckInit): Promise<LocalDigest> {
  if (copy.kind === 'unchecked') return { path: copy.path, safe: copy.state === 'empty', state: copy.state, reason: copy.reason }
  if (copy.kind === 'symlink') return { digest: hash(new TextEncoder().encode(copy.target)) }
  const { path, directory, entry } = copy
  const stream = source.openStream({ file: { task: 0, directory, entry }, content: 'NONE', offset: 0, pieceBytes: PIECE_BYTES })
  try {
    for (;;) {
      const step = await stream.next(false)
      if (step.kind === 'END') return { digest: step.digest }
      if (step.kind === 'FAULT') return faultResult(path, step.fault)
    }
  } finally {
    stream.close()
  }
}

function faultResult (path: string, { code, detail }: FileFault): SafeResult {
  const isChanging = code === 'CHANGED_DURING_READ' || code === 'VANISHED'
  const reason = `It could not be compared: ${problem('', code, detail).message}.`
  return { path, safe: false, state: isChanging ? 'changing' : 'unreadable', reason }
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

function resultOf (path: string, { verdict, storedAtMs, verifiedAtMs, read }: FileVerdict): SafeResult {
  const storedAt = storedAtMs === undefined ? undefined : isoOf(storedAtMs)
  const verifiedAt = verifiedAtMs === undefined ? undefined : isoOf(verifiedAtMs)
  const stored = storedAt === undefined ? '' : ` It has been stored durably since ${storedAt}.`
  const verified = verifiedAt === undefined ? '' : ` It was verified at ${verifiedAt}${read === undefined ? '' : READ_FROM[read]}.`
  return {
    path,
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
