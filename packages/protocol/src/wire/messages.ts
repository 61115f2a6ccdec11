import type { Digest } from '../digest.ts'
import type { Problem } from '../problem.ts'

/** The first message of each side: what it speaks. The server's comes only after it knows the client. */
export interface Hello {
  readonly type: 'HELLO'
  /** Every protocol version the sender speaks. */
  readonly versions: readonly number[]
  /** Names of optional abilities; those that both ends name are in force. */
  readonly features: readonly string[]
  /** Program and version, for logs. */
  readonly software: string
  /** The sender's clock, in milliseconds since the Unix epoch. For a person who compares times; no rule depends on it. */
  readonly timeMs?: number
}

/** The client waits for its turn. Sent again whenever the position changes. */
export interface ServerStatusBusy {
  readonly type: 'SERVER_STATUS'
  readonly status: 'BUSY'
  /** 1 is next. */
  readonly position: number
  /** Expected wait in milliseconds, where the server can tell. */
  readonly estimateMs?: number
}

/** It is the client's turn. Sent once. */
export interface ServerStatusReady {
  readonly type: 'SERVER_STATUS'
  readonly status: 'READY'
  /** Names the session in the logs of both ends. */
  readonly session: string
  readonly serverName: string
  /** The client's area: the folder inside the archive that holds its mirror. */
  readonly area: string
  readonly policy: Policy
  /** The id of the archive, by which a client notices that it is about to push the archive itself. */
  readonly archiveId?: string
}

export interface Policy {
  /** `mirror`: what vanished at the client moves to versions. `archive`: nothing ever leaves. */
  readonly mode: 'mirror' | 'archive'
  readonly maxFileBytes: number
}

export type ServerStatus = ServerStatusBusy | ServerStatusReady

/** What the client has, as a whole. */
export interface ClientFilesInfo {
  readonly type: 'CLIENT_FILES_INFO'
  readonly rootDigest: Digest
  readonly files: number
  readonly directories: number
  readonly bytes: number
  /** False when a directory could not be read, so that what is missing from the listings may still exist. */
  readonly complete: boolean
  /** The first problems of the scan. */
  readonly problems: readonly Problem[]
  /** How many problems the scan had in all. */
  readonly problemCount: number
}

/**
 * The server asks for listings. The number of a listing is its place in the order in which listings were asked for,
 * from 0; the root's is always the first.
 */
export interface ListingsWanted {
  readonly type: 'LISTINGS_WANTED'
  /** Empty asks for the root; otherwise each names a directory by a listing and the place of its entry there. */
  readonly directories: readonly EntryReference[]
}

/** The number of a listing in this session, and the place of an entry in it, from 0. */
export type EntryReference = readonly [listing: number, entry: number]

/** What the server wants, a page at a time. The number of a task is its place in the order of all tasks, from 0. */
export interface Tasks {
  readonly type: 'TASKS'
  /** Number of the first task of this page. */
  readonly first: number
  readonly tasks: readonly Task[]
  /** Whether this is the last page. */
  readonly last: boolean
}

/** One file that the server wants, by its place in the client's own listings. */
export type Task = WholeTask | ResumeTask | DeltaTask | DigestTask | SparseTask

/** The whole file. */
export type WholeTask = readonly [listing: number, entry: number]
/** The file from an offset on; the digest at its end covers the whole. */
export type ResumeTask = readonly [listing: number, entry: number, how: 'RESUME', offset: number]
/** The file as a difference; the signature of the server's copy follows in SIGNATURE frames under the task's number. */
export type DeltaTask = readonly [listing: number, entry: number, how: 'DELTA', signatureBytes: number]
/** Only the digest of the file, because the server may hold its content already. */
export type DigestTask = readonly [listing: number, entry: number, how: 'DIGEST']

/** The file from an offset on, if the client's disk sets no more than so many bytes aside for it: only then it fits. */
type SparseTask = readonly [listing: number, entry: number, how: 'SPARSE', offset: number, roomBytes: number]

/** In front of a streamed file; small files carry it in packed form, in a PACK. */
export interface FileHeader {
  readonly type: 'FILE_HEADER'
  readonly task: number
  /** Size of the whole file, as listed. */
  readonly sizeBytes: number
  /** Where the DATA that follows starts. */
  readonly offset: number
  /** DATA: the bytes themselves. DELTA: operations against the signature. NONE: only the digest. */
  readonly content: 'DATA' | 'DELTA' | 'NONE'
}

/** Between the DATA frames of a streamed file: the next bytes of it are zeros. */
export interface FileHole {
  readonly type: 'FILE_HOLE'
  readonly task: number
  readonly bytes: number
}

/** Behind the last frame of a streamed file. */
export interface FileEnd {
  readonly type: 'FILE_END'
  readonly task: number
  /** Of the whole file. */
  readonly digest: Digest
}

/** In the place of a file that cannot be sent, or that changed while it was. */
export interface FileProblem {
  readonly type: 'FILE_PROBLEM'
  readonly task: number
  readonly code: Problem['code']
  readonly message: string
}

/** How much of this session is durable by now. */
export interface Stored {
  readonly type: 'STORED'
  readonly files: number
  readonly bytes: number
  /** Files that were recognised under a new name; servers of before did not tell. */
  readonly renamed?: number
  /** Files that left the mirror, told where the session ends early; servers of before did not tell. */
  readonly deleted?: number
}

/** The end of a session. All that it reports is durable. */
export interface NextSync {
  readonly type: 'NEXT_SYNC'
  /** When to come again. */
  readonly inMs: number
  readonly result: 'OK' | 'PROBLEMS' | 'HALTED'
  readonly stored: { readonly files: number, readonly bytes: number, readonly deleted: number, readonly renamed: number }
  /** The first problems that the server had. */
  readonly problems: readonly Problem[]
  readonly problemCount: number
  /** What a person has to know, such as why the sync halted. */
  readonly message?: string
}

/** A number of files, and their bytes. */
export interface Amount {
  readonly files: number
  readonly bytes: number
}

/** What a sync would do, to a client that only asks. Ends the session. */
export interface PlanMessage {
  readonly type: 'PLAN'
  /** Files that the server would ask for and has nothing of; their whole size. */
  readonly added: Amount
  /** Files that it would ask for because what it has of them is another state; their whole size. */
  readonly changed: Amount
  /** Files that would leave the mirror for the versions. */
  readonly deleted: Amount
  /** Files whose content it has under another path. */
  readonly renamed: number
  /** The first problems that the server would have. */
  readonly problems: readonly Problem[]
  readonly problemCount: number
  /** What would stop the sync: the mass-change brake, or too little room. For people. */
  readonly obstacle?: string
}

/** Whether the server holds what the client holds; asked in a session of questions, one question at a time. */
export interface SafeQuestion {
  readonly type: 'SAFE_QUESTION'
  /** Whether the server has to read its copies again before it answers. */
  readonly fresh: boolean
  readonly files: readonly QuestionedFile[]
}

/** One file as the client has it. */
export interface QuestionedFile {
  /** Relative to the source; has to follow the rules of paths. */
  readonly path: string
  readonly kind: 'FILE' | 'SYMLINK'
  /** Of the file's content; of a link, of its target. */
  readonly digest: Digest
}

/** One answer for each file of the question, in its order. */
export interface SafeAnswer {
  readonly type: 'SAFE_ANSWER'
  readonly files: readonly FileVerdict[]
}

export interface FileVerdict {
  /**
   * SAFE: the server holds exactly this content, durably. ABSENT: it holds nothing at this path. DIFFERENT: it holds another
   * content. ALTERED: its copy was changed or removed by others. DAMAGED: its copy, read again, is not what was stored. OTHER: what
   * a newer server says that this version does not know; never sent.
   */
  readonly verdict: 'SAFE' | 'ABSENT' | 'DIFFERENT' | 'ALTERED' | 'DAMAGED' | 'OTHER'
  /** Since when the copy is durable, milliseconds since the Unix epoch by the server's clock; not told of links. */
  readonly storedAtMs?: number
  /** When the copy was last read from the disk again and found whole; absent for never. */
  readonly verifiedAtMs?: number
  /** Where a copy that was read again came from: the disk itself, or perhaps the memory of the server's system. */
  readonly read?: 'DISK' | 'CACHE'
}

/** The last message of a side. */
export interface Close {
  readonly type: 'CLOSE'
  /** DONE, or an error code of the catalogue that may be told to a peer. */
  readonly code: string
  readonly message: string
  /** When to come again, where the sender knows. */
  readonly inMs?: number
}

/** The client knows the code or the token; see docs/protocol.md, Pairing. */
export interface PairProof {
  readonly type: 'PAIR_PROOF'
  /** The name that the client wishes for itself. */
  readonly name: string
  /** First bytes of the hash of the enrolment token's secret; absent for a pairing code. */
  readonly tokenId?: Uint8Array
  readonly mac: Uint8Array
}

/** The server knows it too, and has stored the client. */
export interface PairOk {
  readonly type: 'PAIR_OK'
  readonly serverName: string
  readonly area: string
  readonly mac: Uint8Array
}

/** The client has stored the server. */
export interface PairDone {
  readonly type: 'PAIR_DONE'
}

export type Message =
  | Hello | ServerStatus | ClientFilesInfo | ListingsWanted | Tasks | FileHeader | FileHole | FileEnd | FileProblem
  | Stored | NextSync | PlanMessage | SafeQuestion | SafeAnswer | Close | PairProof | PairOk | PairDone

export type MessageType = Message['type']

/** The message of a type. */
export type MessageOf<T extends MessageType> = Extract<Message, { type: T }>
