import * as v from 'valibot'
import { decodeValue, encodeValue } from '../encoding/codec.ts'
import { DIGEST_BYTES } from '../digest.ts'
import type { Digest } from '../digest.ts'
import { FileSyncError } from '../errors.ts'
import { LIMITS } from '../limits.ts'
import type * as m from './messages.ts'
import type { EntryReference } from '../listing/entry.ts'
import { isName } from '../listing/name.ts'
import type { Name } from '../listing/name.ts'
import { PROBLEMS } from '../problem.ts'
import type { Problem, ProblemCode } from '../problem.ts'
import { isRelativePath } from '../listing/relative-path.ts'
import type { RelativePath } from '../listing/relative-path.ts'

const MAC_BYTES = 32
/** Length of the mark of a client's run. */
const MARK_BYTES = 8
/** Length of the id of an enrollment token. */
export const TOKEN_ID_BYTES = 8
const MAX_UINT32 = 0xffff_ffff

type Schema<T> = v.GenericSchema<unknown, T>

const integer = (max: number): Schema<number> => v.pipe(v.number(), v.safeInteger(), v.minValue(0), v.maxValue(max))
const count = integer(Number.MAX_SAFE_INTEGER)
const uint32 = integer(MAX_UINT32)
const size = integer(LIMITS.fileBytes)
// The length of a string is a lower bound of its bytes, which the frame limits.
const text: Schema<string> = v.pipe(v.string(), v.maxLength(LIMITS.textBytes))
const label: Schema<string> = v.pipe(v.string(), v.minLength(1), v.maxLength(64))
const bytes = (length: number): Schema<Uint8Array> => v.pipe(
  v.custom<Uint8Array>(value => value instanceof Uint8Array && value.length === length),
  // The decoder returns Buffers, whose slice() shares memory; this module returns plain Uint8Arrays.
  v.transform(value => new Uint8Array(value)),
)
const digest: Schema<Digest> = v.pipe(bytes(DIGEST_BYTES), v.transform(value => value as Digest))

/** One of several labels. An unknown one, from a newer peer, becomes `other`, which must be the safe choice. */
function knownOr<const T extends string> (known: readonly T[], other: NoInfer<T>): Schema<T> {
  return v.pipe(label, v.transform(given => known.find(one => one === given) ?? other))
}

const PROBLEM_CODES = Object.keys(PROBLEMS) as ProblemCode[]
// A newer peer may have more codes; its message still explains them.
const problemCode = knownOr(PROBLEM_CODES, 'OTHER')
const problem: Schema<Problem> = v.object({ path: text, code: problemCode, message: text })
const problems = v.pipe(v.array(problem), v.maxLength(LIMITS.problemsPerMessage))

const hello: Schema<m.Hello> = v.object({
  type: v.literal('HELLO'),
  versions: v.pipe(v.array(integer(0xffff)), v.minLength(1), v.maxLength(16)),
  features: v.pipe(v.array(label), v.maxLength(64)),
  software: text,
  timeMs: v.exactOptional(count),
  mark: v.exactOptional(bytes(MARK_BYTES)),
})

const policy: Schema<m.Policy> = v.object({ mode: v.picklist(['mirror', 'archive']), maxFileBytes: size })

const serverStatus: Schema<m.ServerStatus> = v.variant('status', [
  v.object({
    type: v.literal('SERVER_STATUS'),
    status: v.literal('BUSY'),
    position: v.pipe(uint32, v.minValue(1)),
    estimateMs: v.exactOptional(count),
  }),
  v.object({
    type: v.literal('SERVER_STATUS'),
    status: v.literal('READY'),
    session: label,
    serverName: text,
    area: text,
    policy,
    archiveId: v.exactOptional(label),
    cloned: v.exactOptional(v.boolean()),
  }),
])

const folderName: Schema<Name> = v.custom<Name>(isName)
const pathInFolder: Schema<RelativePath> = v.custom<RelativePath>(isRelativePath)

const folderInfo: Schema<m.FolderInfo> = v.object({
  name: folderName,
  complete: v.boolean(),
  files: integer(LIMITS.treeEntries),
  accepted: v.exactOptional(v.boolean()),
})

const clientFilesInfo: Schema<m.ClientFilesInfo> = v.object({
  type: v.literal('CLIENT_FILES_INFO'),
  rootDigest: digest,
  files: integer(LIMITS.treeEntries),
  directories: integer(LIMITS.treeEntries),
  bytes: count,
  folders: v.pipe(v.array(folderInfo), v.maxLength(LIMITS.foldersPerClient)),
  away: v.pipe(v.array(pathInFolder), v.maxLength(LIMITS.awayDirectories)),
  removed: v.pipe(v.array(folderName), v.maxLength(LIMITS.foldersPerClient)),
  problems,
  problemCount: count,
})

const reference: Schema<EntryReference> = v.strictTuple([uint32, uint32])

const listingsWanted: Schema<m.ListingsWanted> = v.object({
  type: v.literal('LISTINGS_WANTED'),
  directories: v.pipe(v.array(reference), v.maxLength(LIMITS.listingsPerRequest)),
})

// Pages hold thousands of tasks and most are the shortest form, so one check by hand replaces a union of tuples.
const task: Schema<m.Task> = v.custom<m.Task>(isTask)

const tasks: Schema<m.Tasks> = v.object({
  type: v.literal('TASKS'),
  first: uint32,
  tasks: v.pipe(v.array(task), v.maxLength(LIMITS.tasksPerPage)),
  last: v.boolean(),
})

const fileHeader: Schema<m.FileHeader> = v.pipe(
  v.object({
    type: v.literal('FILE_HEADER'),
    task: uint32,
    sizeBytes: size,
    offset: size,
    content: v.picklist(['DATA', 'DELTA', 'NONE']),
  }),
  v.check(header => header.offset <= header.sizeBytes),
)

const fileHole: Schema<m.FileHole> = v.object({
  type: v.literal('FILE_HOLE'),
  task: uint32,
  bytes: v.pipe(integer(LIMITS.holeBytes), v.minValue(1)),
})

const fileEnd: Schema<m.FileEnd> = v.object({ type: v.literal('FILE_END'), task: uint32, digest })

const fileProblem: Schema<m.FileProblem> = v.object({
  type: v.literal('FILE_PROBLEM'),
  task: uint32,
  code: problemCode,
  message: text,
})

const stored: Schema<m.Stored> = v.object({
  type: v.literal('STORED'),
  files: count,
  bytes: count,
  renamed: v.exactOptional(count),
  deleted: v.exactOptional(count),
})

const nextSync: Schema<m.NextSync> = v.object({
  type: v.literal('NEXT_SYNC'),
  inMs: count,
  // An unknown result is certainly not OK.
  result: knownOr(['OK', 'PROBLEMS', 'HALTED'], 'PROBLEMS'),
  stored: v.object({ files: count, bytes: count, deleted: count, renamed: count }),
  problems,
  problemCount: count,
  message: v.exactOptional(text),
})

const amount: Schema<m.Amount> = v.object({ files: count, bytes: count })

const plan: Schema<m.PlanMessage> = v.object({
  type: v.literal('PLAN'),
  added: amount,
  changed: amount,
  deleted: amount,
  renamed: count,
  problems,
  problemCount: count,
  obstacle: v.exactOptional(text),
})

const questionedFile: Schema<m.QuestionedFile> = v.object({
  path: v.pipe(v.string(), v.minLength(1), v.maxLength(LIMITS.pathBytes)),
  kind: v.picklist(['FILE', 'SYMLINK']),
  digest,
})

// Checked as a name by the receiver.
const pageName: Schema<string> = v.pipe(v.string(), v.minLength(1), v.maxLength(LIMITS.nameBytes))

const safeQuestion: Schema<m.SafeQuestion> = v.object({
  type: v.literal('SAFE_QUESTION'),
  fresh: v.boolean(),
  files: v.pipe(v.array(questionedFile), v.minLength(1), v.maxLength(LIMITS.filesPerQuestion)),
})

const fileVerdict: Schema<m.FileVerdict> = v.object({
  verdict: knownOr(['SAFE', 'ABSENT', 'DIFFERENT', 'ALTERED', 'DAMAGED', 'OTHER'], 'OTHER'),
  storedAtMs: v.exactOptional(count),
  verifiedAtMs: v.exactOptional(count),
  // Only `DISK` guarantees that the content is on the disk.
  read: v.exactOptional(knownOr(['DISK', 'CACHE'], 'CACHE')),
})

const safeAnswer: Schema<m.SafeAnswer> = v.object({
  type: v.literal('SAFE_ANSWER'),
  files: v.pipe(v.array(fileVerdict), v.minLength(1), v.maxLength(LIMITS.filesPerQuestion)),
})

const safePagesQuestion: Schema<m.SafePagesQuestion> = v.object({
  type: v.literal('SAFE_PAGES_QUESTION'),
  fresh: v.boolean(),
  pages: v.pipe(v.array(v.object({
    path: v.pipe(v.string(), v.maxLength(LIMITS.pathBytes)),
    first: pageName,
    last: pageName,
    files: v.pipe(integer(LIMITS.pageEntries), v.minValue(1)),
    digest,
  })), v.minLength(1), v.maxLength(LIMITS.pagesPerQuestion)),
})

const safePagesAnswer: Schema<m.SafePagesAnswer> = v.object({
  type: v.literal('SAFE_PAGES_ANSWER'),
  pages: v.pipe(v.array(v.object({
    runs: v.pipe(
      v.array(v.tuple([v.pipe(integer(LIMITS.pageEntries), v.minValue(1)), count, count])), v.maxLength(LIMITS.pageEntries),
    ),
    read: v.exactOptional(knownOr(['DISK', 'CACHE'], 'CACHE')),
  })), v.minLength(1), v.maxLength(LIMITS.pagesPerQuestion)),
})

// Checked as a path by the receiver, who answers with NAME_INVALID. The empty path is everything.
const areaPath: Schema<string> = v.pipe(v.string(), v.maxLength(LIMITS.pathBytes))

const historyQuestion: Schema<m.HistoryQuestion> = v.object({
  type: v.literal('HISTORY_QUESTION'),
  path: areaPath,
  what: v.picklist(['POINTS', 'VERSIONS']),
  before: v.exactOptional(label),
  skip: v.exactOptional(count),
})

const historyPoint: Schema<m.HistoryPoint> = v.object({
  id: label, atMs: count, added: count, replaced: count, removed: count, bytes: count,
})

const historyVersion: Schema<m.HistoryVersion> = v.object({
  path: text,
  kind: knownOr(['FILE', 'DIRECTORY', 'SYMLINK', 'OTHER'], 'OTHER'),
  sizeBytes: size,
  untilMs: count,
  point: v.exactOptional(label),
})

const historyAnswer: Schema<m.HistoryAnswer> = v.object({
  type: v.literal('HISTORY_ANSWER'),
  points: v.pipe(v.array(historyPoint), v.maxLength(LIMITS.historyPerPage)),
  versions: v.pipe(v.array(historyVersion), v.maxLength(LIMITS.historyPerPage)),
  hasMore: v.boolean(),
})

const restoreQuestion: Schema<m.RestoreQuestion> = v.pipe(
  v.object({ type: v.literal('RESTORE_QUESTION'), path: areaPath, point: v.exactOptional(label), atMs: v.exactOptional(count) }),
  v.check(({ point, atMs }) => point === undefined || atMs === undefined),
)

const restoreAnswer: Schema<m.RestoreAnswer> = v.object({
  type: v.literal('RESTORE_ANSWER'),
  point: v.exactOptional(label),
  atMs: count,
  files: integer(LIMITS.treeEntries),
  directories: integer(LIMITS.treeEntries),
  bytes: count,
  doubts: v.pipe(v.array(v.object({ path: text, message: text })), v.maxLength(LIMITS.problemsPerMessage)),
  doubtCount: count,
})

const close: Schema<m.Close> = v.object({ type: v.literal('CLOSE'), code: label, message: text, inMs: v.exactOptional(count) })

const pairProof: Schema<m.PairProof> = v.object({
  type: v.literal('PAIR_PROOF'),
  name: text,
  tokenId: v.exactOptional(bytes(TOKEN_ID_BYTES)),
  mac: bytes(MAC_BYTES),
})

const pairOk: Schema<m.PairOk> = v.object({
  type: v.literal('PAIR_OK'),
  serverName: text,
  area: text,
  mac: bytes(MAC_BYTES),
  note: v.exactOptional(knownOr(['CONTINUES', 'BESIDE', 'OTHER'], 'OTHER')),
})

const pairDone: Schema<m.PairDone> = v.object({ type: v.literal('PAIR_DONE') })

/** The schema of each message, as docs/protocol.md describes it. */
export const SCHEMAS: { readonly [T in m.MessageType]: Schema<m.MessageOf<T>> } = {
  HELLO: hello,
  SERVER_STATUS: serverStatus,
  CLIENT_FILES_INFO: clientFilesInfo,
  LISTINGS_WANTED: listingsWanted,
  TASKS: tasks,
  FILE_HEADER: fileHeader,
  FILE_HOLE: fileHole,
  FILE_END: fileEnd,
  FILE_PROBLEM: fileProblem,
  STORED: stored,
  NEXT_SYNC: nextSync,
  PLAN: plan,
  SAFE_QUESTION: safeQuestion,
  SAFE_ANSWER: safeAnswer,
  SAFE_PAGES_QUESTION: safePagesQuestion,
  SAFE_PAGES_ANSWER: safePagesAnswer,
  HISTORY_QUESTION: historyQuestion,
  HISTORY_ANSWER: historyAnswer,
  RESTORE_QUESTION: restoreQuestion,
  RESTORE_ANSWER: restoreAnswer,
  CLOSE: close,
  PAIR_PROOF: pairProof,
  PAIR_OK: pairOk,
  PAIR_DONE: pairDone,
}

/** The names of all messages. */
export const MESSAGE_TYPES: readonly m.MessageType[] = Object.keys(SCHEMAS) as m.MessageType[]

/** Encodes a message as the payload of a MESSAGE frame. */
export function encodeMessage (message: m.Message): Uint8Array<ArrayBuffer> {
  return encodeValue(message)
}

/**
 * Decodes the payload of a MESSAGE frame. Returns undefined for a type that this version does not know, which must be skipped.
 * Unknown fields are dropped. Throws MESSAGE_INVALID or an ENCODING code.
 */
export function decodeMessage (payload: Uint8Array): m.Message | undefined {
  return parseMessage(decodeValue(payload))
}

/** As {@link decodeMessage}, from an already decoded MessagePack value. */
export function parseMessage (value: unknown): m.Message | undefined {
  const type = typeof value === 'object' && value !== null && 'type' in value ? value.type : undefined
  if (typeof type !== 'string') throw new FileSyncError('MESSAGE_INVALID', 'Invalid message: it has no type.')
  if (!Object.hasOwn(SCHEMAS, type) || (type === 'SERVER_STATUS' && hasOtherStatus(value))) return undefined
  const known = type as m.MessageType
  // One issue is enough: a list of a million wrong elements must not become a million issues.
  const result = v.safeParse(SCHEMAS[known], value, { abortEarly: true })
  if (result.success) return result.output
  const field = v.getDotPath(result.issues[0])
  throw new FileSyncError('MESSAGE_INVALID', `Invalid ${known}: ${field === null ? 'it' : `field ${field}`} failed validation.`)
}

const OTHER_STATUS = v.object({ status: label })

/** Whether it is a status of a newer server; like an unknown message it is skipped. */
function hasOtherStatus (value: unknown): boolean {
  return v.is(OTHER_STATUS, value) && value.status !== 'BUSY' && value.status !== 'READY'
}

function isTask (value: unknown): boolean {
  if (!Array.isArray(value)) return false
  const [listing, entry, how, argument, roomBytes] = value as unknown[]
  if (!isUint32(listing) || !isUint32(entry)) return false
  if (value.length === 2) return true
  if (how === 'DIGEST') return value.length === 3
  if (how === 'SPARSE') return value.length === 5 && isCount(argument) && argument <= LIMITS.fileBytes && isCount(roomBytes)
  if (value.length !== 4 || !isCount(argument)) return false
  return how === 'RESUME' ? argument <= LIMITS.fileBytes : how === 'DELTA' && argument <= MAX_UINT32
}

function isCount (value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

function isUint32 (value: unknown): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= MAX_UINT32
}
