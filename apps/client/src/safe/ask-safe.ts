import { FileSyncError, LIMITS, problem } from '@filesync/protocol'
import type { Connection, Digest, FileVerdict, HashBytes, QuestionedFile } from '@filesync/protocol'
import type { FileFault, FileSource } from '@filesync/transfer'
import type { LocalCopy, UnaskedState } from './local-copies.ts'

/** Whether one path is safe, and why. */
export interface ReceiptRow {
  /** Relative to the directory that is pushed. */
  readonly path: string
  readonly safe: boolean
  readonly state: Lowercase<FileVerdict['verdict']> | UnaskedState | 'changing'
  /** In a sentence, for a person. */
  readonly reason: string
  /** Since when the server's copy is durable, and when it was last read again and found whole; ISO 8601, by the server's clock. */
  readonly storedAt?: string
  readonly verifiedAt?: string
  /** Where the server read its copy from for this answer. */
  readonly read?: 'disk' | 'cache'
}

export interface AskInit {
  /** Greeted, for questions. */
  readonly connection: Connection
  readonly source: FileSource
  readonly hash: HashBytes
  /** Has the server read its copies again. */
  readonly fresh: boolean
}

/** Questions that need reading at the server are kept short, so that others get their turn and answers come now and then. */
const FRESH_QUESTION_BYTES = 256 << 20
const PIECE_BYTES = 1 << 20

/** Reads each copy, asks the server for it, and yields one row for each, in their order. Throws what ends the connection. */
export async function * askSafe (copies: Iterable<LocalCopy>, init: AskInit): AsyncGenerator<ReceiptRow, void, undefined> {
  for (const batch of batches(copies, init.fresh ? FRESH_QUESTION_BYTES : Infinity)) yield * await answerBatch(batch, init)
}

function * batches (copies: Iterable<LocalCopy>, bytesAtMost: number): Generator<LocalCopy[], void, undefined> {
  let batch: LocalCopy[] = []
  let bytes = 0
  for (const copy of copies) {
    const sizeBytes = copy.kind === 'file' ? copy.entry.sizeBytes : 0
    if (batch.length === LIMITS.filesPerQuestion || (batch.length > 0 && bytes + sizeBytes > bytesAtMost)) {
      yield batch
      batch = []
      bytes = 0
    }
    batch.push(copy)
    bytes += sizeBytes
  }
  if (batch.length > 0) yield batch
}

async function answerBatch (batch: readonly LocalCopy[], init: AskInit): Promise<ReceiptRow[]> {
  const read = await readAll(batch, init)
  const files: QuestionedFile[] = []
  read.forEach((found, i) => {
    const copy = batch[i]
    if (copy !== undefined && copy.kind !== 'unasked' && !('state' in found)) files.push({ path: copy.path, kind: copy.kind === 'file' ? 'FILE' : 'SYMLINK', digest: found.digest })
  })
  const verdicts = files.length === 0 ? [] : await ask(init, files)
  let next = 0
  return read.map((found, i) => 'state' in found ? found : rowOf(batch[i]?.path ?? '', verdicts[next++] ?? { verdict: 'ABSENT' }))
}

async function ask ({ connection, fresh }: AskInit, files: readonly QuestionedFile[]): Promise<readonly FileVerdict[]> {
  await connection.send({ type: 'SAFE_QUESTION', fresh, files })
  const answer = await connection.receive(['SAFE_ANSWER'])
  if (answer.files.length !== files.length) throw new FileSyncError('MESSAGE_INVALID', 'The server did not answer for each file that it was asked about.')
  return answer.files
}

type Read = ReceiptRow | { readonly digest: Digest }

/** As many at a time as the source reads beside each other. */
async function readAll (batch: readonly LocalCopy[], init: AskInit): Promise<Read[]> {
  const read: Read[] = []
  let next = 0
  await Promise.all(Array.from({ length: Math.max(1, init.source.parallelism) }, async () => {
    for (let at = next++; at < batch.length; at = next++) {
      const copy = batch[at]
      if (copy !== undefined) read[at] = await readOne(copy, init)
    }
  }))
  return read
}

async function readOne (copy: LocalCopy, { source, hash }: AskInit): Promise<Read> {
  if (copy.kind === 'unasked') return { path: copy.path, safe: copy.state === 'empty', state: copy.state, reason: copy.reason }
  if (copy.kind === 'symlink') return { digest: hash(new TextEncoder().encode(copy.target)) }
  const { path, directory, entry } = copy
  const stream = source.openStream({ file: { task: 0, directory, entry }, content: 'NONE', offset: 0, pieceBytes: PIECE_BYTES })
  try {
    for (;;) {
      const step = await stream.next(false)
      if (step.kind === 'END') return { digest: step.digest }
      if (step.kind === 'FAULT') return faultRow(path, step.fault)
    }
  } finally {
    stream.close()
  }
}

function faultRow (path: string, { code, detail }: FileFault): ReceiptRow {
  const isChanging = code === 'CHANGED_DURING_READ' || code === 'VANISHED'
  return { path, safe: false, state: isChanging ? 'changing' : 'unreadable', reason: `It could not be compared: ${problem('', code, detail).message}.` }
}

const REASONS: Readonly<Record<FileVerdict['verdict'], string>> = {
  SAFE: 'The server holds exactly this content',
  ABSENT: 'The server does not hold it; "filesync-client why" may tell the reason.',
  DIFFERENT: 'The server holds another content; push it first.',
  ALTERED: 'The server\'s copy was changed or removed by others, or is just being replaced; a later push puts it right.',
  DAMAGED: 'The server\'s copy is damaged; the next push puts it right.',
  OTHER: 'The server answered what this version does not know; update the client, then ask again.',
}

function rowOf (path: string, { verdict, storedAtMs, verifiedAtMs, read }: FileVerdict): ReceiptRow {
  const storedAt = storedAtMs === undefined ? undefined : isoOf(storedAtMs)
  const verifiedAt = verifiedAtMs === undefined ? undefined : isoOf(verifiedAtMs)
  const since = storedAt === undefined ? '' : `, durably since ${storedAt}`
  const verified = verifiedAt === undefined ? '' : `, and read it again at ${verifiedAt}${read === 'CACHE' ? ', though perhaps from memory' : read === 'DISK' ? ', from its disk' : ''}`
  return {
    path,
    safe: verdict === 'SAFE',
    state: verdict.toLowerCase() as Lowercase<typeof verdict>,
    reason: verdict === 'SAFE' ? `${REASONS.SAFE}${since}${verified}.` : REASONS[verdict],
    ...(storedAt !== undefined && { storedAt }),
    ...(verifiedAt !== undefined && { verifiedAt }),
    ...(read !== undefined && { read: read.toLowerCase() as Lowercase<typeof read> }),
  }
}

/** A peer's time may be one that no calendar has. */
function isoOf (timeMs: number): string | undefined {
  return timeMs <= 8.64e15 ? new Date(timeMs).toISOString() : undefined
}
