import type { Digest } from '../digest.ts'
import type { EntryReference } from '../listing/entry.ts'
import type { Name } from '../listing/name.ts'
import type { RelativePath } from '../listing/relative-path.ts'
import type { Problem } from '../problem.ts'

/** The first message of each side: its versions and features. The server sends it only to a client that it knows. */
export interface Hello {
  readonly type: 'HELLO'
  /** Every protocol version the sender speaks. */
  readonly versions: readonly number[]
  /** Names of optional features; those that both ends name are in force. */
  readonly features: readonly string[]
  /** Program and version, for logs. */
  readonly software: string
  /** The sender's clock, in milliseconds since the Unix epoch. Only for people who compare times; no rule depends on it. */
  readonly timeMs?: number
  /**
   * From a client: identifies the run of its machine, or of its process. Only a hint, by which a server notices that two machines use
   * one key; no rule depends on it.
   */
  readonly mark?: Uint8Array
}

/** The client is in the queue. Sent again whenever its position changes. */
interface ServerStatusBusy {
  readonly type: 'SERVER_STATUS'
  readonly status: 'BUSY'
  /** 1 is next. */
  readonly position: number
  /** Expected wait in milliseconds, if the server can estimate it. */
  readonly estimateMs?: number
}

/** It is the client's turn. Sent once. */
export interface ServerStatusReady {
  readonly type: 'SERVER_STATUS'
  readonly status: 'READY'
  /** Identifies the session in the logs of both ends. */
  readonly session: string
  readonly serverName: string
  /** The client's area: the directory inside the archive that contains its mirror. */
  readonly area: string
  readonly policy: Policy
  /** The id of the archive, by which a client detects that it is about to push the archive itself. */
  readonly archiveId?: string
  /** Whether two machines seem to use the key of this client. */
  readonly cloned?: boolean
}

export interface Policy {
  /** What the archive does with files that the client removed. `mirror`: they move to the versions. `archive`: they stay in the mirror. */
  readonly mode: 'mirror' | 'archive'
  readonly maxFileBytes: number
}

export type ServerStatus = ServerStatusBusy | ServerStatusReady

/** One of the client's folders, listed as a directory in the root listing. */
export interface FolderInfo {
  readonly name: Name
  /** False if a directory in it could not be read, so that files that are missing from its listings may still exist. */
  readonly complete: boolean
  /** Number of files in it. */
  readonly files: number
  /** The user has confirmed that the folder is empty, although it was not before. */
  readonly accepted?: boolean
}

/** A summary of the client's tree. Its root contains the client's folders. */
export interface ClientFilesInfo {
  readonly type: 'CLIENT_FILES_INFO'
  readonly rootDigest: Digest
  readonly files: number
  readonly directories: number
  readonly bytes: number
  /** The folders in the root listing. Other folders of the client are left alone. */
  readonly folders: readonly FolderInfo[]
  /** Directories in these folders that cannot be reached now, such as unmounted disks. They are not listed, and left alone. */
  readonly away: readonly RelativePath[]
  /** Folders that leave the mirror at the user's wish. */
  readonly removed: readonly Name[]
  /** The first problems of the scan. */
  readonly problems: readonly Problem[]
  /** How many problems the scan had in all. */
  readonly problemCount: number
}

/**
 * The server requests listings. Listings are numbered in the order in which they are requested, from 0; the root's is
 * always the first.
 */
export interface ListingsWanted {
  readonly type: 'LISTINGS_WANTED'
  /** Empty requests the root; otherwise each item identifies a directory by a listing and the index of its entry there. */
  readonly directories: readonly EntryReference[]
}

/** One page of the files that the server requests. Tasks are numbered across all pages, from 0. */
export interface Tasks {
  readonly type: 'TASKS'
  /** Number of the first task of this page. */
  readonly first: number
  readonly tasks: readonly Task[]
  /** Whether this is the last page. */
  readonly last: boolean
}

/** One file that the server requests, identified by its index in the client's listings. */
export type Task = WholeTask | ResumeTask | DeltaTask | DigestTask | SparseTask

/** The whole file. */
type WholeTask = readonly [listing: number, entry: number]
/** The file from an offset on; the digest at its end covers the whole file. */
type ResumeTask = readonly [listing: number, entry: number, how: 'RESUME', offset: number]
/** The file as a delta; the signature of the server's copy follows in SIGNATURE frames under the task's number. */
type DeltaTask = readonly [listing: number, entry: number, how: 'DELTA', signatureBytes: number]
/** Only the digest of the file, because the server may already have its content. */
type DigestTask = readonly [listing: number, entry: number, how: 'DIGEST']

/** The file from an offset on, but only if it occupies at most `roomBytes` on the client's disk: otherwise the archive has no room. */
type SparseTask = readonly [listing: number, entry: number, how: 'SPARSE', offset: number, roomBytes: number]

/** Precedes a streamed file; small files have it in packed form, in a PACK. */
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

/** Sent between the DATA frames of a streamed file: its next bytes are zeros. */
export interface FileHole {
  readonly type: 'FILE_HOLE'
  readonly task: number
  readonly bytes: number
}

/** Follows the last frame of a streamed file. */
export interface FileEnd {
  readonly type: 'FILE_END'
  readonly task: number
  /** Of the whole file. */
  readonly digest: Digest
}

/** Sent instead of a file that cannot be sent, or that changed while it was being sent. */
export interface FileProblem {
  readonly type: 'FILE_PROBLEM'
  readonly task: number
  readonly code: Problem['code']
  readonly message: string
}

/** How much of this session is durable so far. */
export interface Stored {
  readonly type: 'STORED'
  readonly files: number
  readonly bytes: number
  /** Files that were recognized under a new name; older servers omit it. */
  readonly renamed?: number
  /** Files that were removed from the mirror; sent if the session ends early. Older servers omit it. */
  readonly deleted?: number
}

/** The end of a session. Everything that it reports is durable. */
export interface NextSync {
  readonly type: 'NEXT_SYNC'
  /** When to sync again, in milliseconds. */
  readonly inMs: number
  readonly result: 'OK' | 'PROBLEMS' | 'HALTED'
  readonly stored: { readonly files: number, readonly bytes: number, readonly deleted: number, readonly renamed: number }
  /** The first problems that the server had. */
  readonly problems: readonly Problem[]
  readonly problemCount: number
  /** Information for a person, such as why the sync halted. */
  readonly message?: string
}

/** A number of files, and their bytes. */
export interface Amount {
  readonly files: number
  readonly bytes: number
}

/** What a sync would do, for a client that requested a plan. Ends the session. */
export interface PlanMessage {
  readonly type: 'PLAN'
  /** Files that the server would request and has no copy of, with their full sizes. */
  readonly added: Amount
  /** Files that it would request because its copy is in another state, with their full sizes. */
  readonly changed: Amount
  /** Files that would move from the mirror to the versions. */
  readonly deleted: Amount
  /** Files whose content the server has under another path. */
  readonly renamed: number
  /** The first problems that the sync would have. */
  readonly problems: readonly Problem[]
  readonly problemCount: number
  /** What would stop the sync, for people: the mass-change brake, or too little room. */
  readonly obstacle?: string
}

/** Asks whether the server has the same files as the client. Sent in a safe-check session, one question at a time. */
export interface SafeQuestion {
  readonly type: 'SAFE_QUESTION'
  /** Whether the server must read its copies again before it answers. */
  readonly fresh: boolean
  readonly files: readonly QuestionedFile[]
}

/** One file of the client. */
export interface QuestionedFile {
  /** Relative to the source; must be a valid path. */
  readonly path: string
  readonly kind: 'FILE' | 'SYMLINK'
  /** Of the file's content, or of a symbolic link's target. */
  readonly digest: Digest
}

/** One answer for each file of the question, in its order. */
export interface SafeAnswer {
  readonly type: 'SAFE_ANSWER'
  readonly files: readonly FileVerdict[]
}

/**
 * Asks whether the server has the same files as the client in parts of directories, before single files are asked about. Sent in a
 * safe-check session like SAFE_QUESTION.
 */
export interface SafePagesQuestion {
  readonly type: 'SAFE_PAGES_QUESTION'
  /** Whether the server must read its copies again before it answers. */
  readonly fresh: boolean
  readonly pages: readonly QuestionedPage[]
}

/** The files and symbolic links that the client has in a directory, from one name to another. */
export interface QuestionedPage {
  /** The directory, relative to the source; empty for the source itself. */
  readonly path: string
  /** The names of the first and the last of them, in the order of names. */
  readonly first: string
  readonly last: string
  /** How many there are. */
  readonly files: number
  /** See `safePageDigest`. */
  readonly digest: Digest
}

/** One answer for each page of the question, in its order. */
export interface SafePagesAnswer {
  readonly type: 'SAFE_PAGES_ANSWER'
  readonly pages: readonly PageVerdict[]
}

export interface PageVerdict {
  /** If all files of the page are SAFE: their times, which consecutive files share. Empty if they have to be asked about one by one. */
  readonly runs: readonly TimesRun[]
  /** Where the copies were read from again: all of them from the disk itself, or some possibly from the page cache of the server. */
  readonly read?: 'DISK' | 'CACHE'
}

/** A number of files, and the `storedAtMs` and `verifiedAtMs` of each; 0 for absent. */
export type TimesRun = readonly [files: number, storedAtMs: number, verifiedAtMs: number]

export interface FileVerdict {
  /**
   * SAFE: the server has exactly this content, durably. ABSENT: it has nothing at this path. DIFFERENT: it has other content.
   * ALTERED: its copy was changed or removed by another program. DAMAGED: its copy, read again, does not match what was stored.
   * OTHER: a verdict of a newer server that this version does not know; never sent.
   */
  readonly verdict: 'SAFE' | 'ABSENT' | 'DIFFERENT' | 'ALTERED' | 'DAMAGED' | 'OTHER'
  /** Since when the copy is durable, in milliseconds since the Unix epoch by the server's clock; absent for links. */
  readonly storedAtMs?: number
  /** When the copy was last read from the disk again and matched its digest; absent if never. */
  readonly verifiedAtMs?: number
  /** Where the copy was read from again: the disk itself, or possibly the page cache of the server. */
  readonly read?: 'DISK' | 'CACHE'
}

/** Asks for the history of the client's own area. Sent in a restore session, one question at a time, before RESTORE_QUESTION. */
export interface HistoryQuestion {
  readonly type: 'HISTORY_QUESTION'
  /** Relative to the area; the empty path asks about everything. */
  readonly path: string
  readonly what: 'POINTS' | 'VERSIONS'
  /** For POINTS: the id of a point; only older ones are wanted. */
  readonly before?: string
  /** For VERSIONS: how many of the newest ones are left out, because they were received before. */
  readonly skip?: number
}

/** A page of points or versions, newest first. */
export interface HistoryAnswer {
  readonly type: 'HISTORY_ANSWER'
  readonly points: readonly HistoryPoint[]
  readonly versions: readonly HistoryVersion[]
  /** Whether there are older ones. */
  readonly hasMore: boolean
}

/** A completed sync that changed something, and whose state can still be restored. */
export interface HistoryPoint {
  /** Unique in the area, such as `p17`. */
  readonly id: string
  /** Milliseconds since the Unix epoch by the server's clock. */
  readonly atMs: number
  /** Files that were added, replaced and removed. */
  readonly added: number
  readonly replaced: number
  readonly removed: number
  /** Size of the files that were added or replaced. */
  readonly bytes: number
}

/** A former state of a path. */
export interface HistoryVersion {
  readonly path: string
  /** OTHER: a kind of a newer server that this version does not know; never sent. */
  readonly kind: 'FILE' | 'DIRECTORY' | 'SYMLINK' | 'OTHER'
  readonly sizeBytes: number
  /** The last moment at which it was in the mirror, milliseconds since the Unix epoch by the server's clock. */
  readonly untilMs: number
  /** The last point whose state has it. */
  readonly point?: string
}

/** Asks for the state of a path of the client's own area. Without `point` and `atMs`: the present one. */
export interface RestoreQuestion {
  readonly type: 'RESTORE_QUESTION'
  /** Relative to the area; the empty path asks for everything. */
  readonly path: string
  readonly point?: string
  /** Milliseconds since the Unix epoch by the server's clock. Not together with `point`. */
  readonly atMs?: number
}

/** The state that LISTINGS_WANTED and TASKS refer to from now on. */
export interface RestoreAnswer {
  readonly type: 'RESTORE_ANSWER'
  /** The last point up to that moment; absent if there is none. */
  readonly point?: string
  /** The moment whose state it is. */
  readonly atMs: number
  readonly files: number
  readonly directories: number
  readonly bytes: number
  /** The first reasons why the state may be incomplete or inexact. */
  readonly doubts: readonly RestoreDoubt[]
  readonly doubtCount: number
}

/** Why a part of a restored state may be incomplete or inexact. */
export interface RestoreDoubt {
  readonly path: string
  readonly message: string
}

/** The last message of a side. */
export interface Close {
  readonly type: 'CLOSE'
  /** DONE, or an error code that may be sent to a peer. */
  readonly code: string
  readonly message: string
  /** When to retry, in milliseconds, if the sender knows. */
  readonly inMs?: number
}

/** Proves that the client knows the code or the token; see docs/protocol.md, Pairing. */
export interface PairProof {
  readonly type: 'PAIR_PROOF'
  /** The name that the client requests for itself. */
  readonly name: string
  /** First bytes of the hash of the enrollment token's secret; absent for a pairing code. */
  readonly tokenId?: Uint8Array
  readonly mac: Uint8Array
}

/** Proves that the server knows it too; the server has stored the client. */
export interface PairOk {
  readonly type: 'PAIR_OK'
  readonly serverName: string
  readonly area: string
  readonly mac: Uint8Array
  /**
   * CONTINUES: the area was another machine's, or this client's under another key. BESIDE: another client has the area of the
   * requested name. OTHER: a note of a newer server that this version does not know; never sent.
   */
  readonly note?: 'CONTINUES' | 'BESIDE' | 'OTHER'
}

/** The client has stored the server. */
export interface PairDone {
  readonly type: 'PAIR_DONE'
}

export type Message =
  | Hello | ServerStatus | ClientFilesInfo | ListingsWanted | Tasks | FileHeader | FileHole | FileEnd | FileProblem
  | Stored | NextSync | PlanMessage | SafeQuestion | SafeAnswer | SafePagesQuestion | SafePagesAnswer | HistoryQuestion
  | HistoryAnswer | RestoreQuestion | RestoreAnswer | Close | PairProof | PairOk | PairDone

export type MessageType = Message['type']

/** The message with a type. */
export type MessageOf<T extends MessageType> = Extract<Message, { type: T }>
