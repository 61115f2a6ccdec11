import type { Digest } from './digest.ts'
import type { Problem } from './problem.ts'

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
export type Task = WholeTask | ResumeTask | DeltaTask | DigestTask

/** The whole file. */
export type WholeTask = readonly [listing: number, entry: number]
/** The file from an offset on; the digest at its end covers the whole. */
export type ResumeTask = readonly [listing: number, entry: number, how: 'RESUME', offset: number]
/** The file as a difference; the signature of the server's copy follows in SIGNATURE frames under the task's number. */
export type DeltaTask = readonly [listing: number, entry: number, how: 'DELTA', signatureBytes: number]
/** Only the digest of the file, because the server may hold its content already. */
export type DigestTask = readonly [listing: number, entry: number, how: 'DIGEST']

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

/** The last message of a side. */
export interface Close {
  readonly type: 'CLOSE'
  /** DONE, or an error code of the catalogue that may be told to a peer. */
  readonly code: string
  readonly message: string
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
  | Hello | ServerStatus | ClientFilesInfo | ListingsWanted | Tasks | FileHeader | FileEnd | FileProblem
  | Stored | NextSync | Close | PairProof | PairOk | PairDone

export type MessageType = Message['type']

/** The message of a type. */
export type MessageOf<T extends MessageType> = Extract<Message, { type: T }>
