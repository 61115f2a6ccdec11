/**
 * The language that a FileSync client and server speak: names and paths, entries and listings, messages and frames,
 * limits, errors, and a typed connection over any stream of bytes. docs/protocol.md is its specification.
 *
 * @packageDocumentation
 */
export type { ByteStream } from './byte-stream.ts'
export { backOffMs } from './back-off.ts'
export type { BackOffBounds } from './back-off.ts'
export { wait, waitThroughSleep } from './clock.ts'
export type { Clock } from './clock.ts'
export { compareListings } from './compare.ts'
export type { Difference } from './compare.ts'
export { openConnection } from './connection.ts'
export type { Connection, ConnectionInit, Incoming } from './connection.ts'
export { layerOver } from './connection-layer.ts'
export {
  decodeDiscover, decodeOffer, DISCOVERY_GROUP_IPV4, DISCOVERY_GROUP_IPV6, DISCOVERY_PORT, encodeDiscover, encodeDiscoverV1, encodeOffer,
} from './datagram.ts'
export type { DiscoverPurpose, DiscoverV1, DiscoverV2, Offer } from './datagram.ts'
export { DIGEST_BYTES, equalDigests, toDigest, toHex } from './digest.ts'
export { digestOffsets } from './digest-offsets.ts'
export type { Digest, HashBytes, Hasher } from './digest.ts'
export { sameContent } from './entry.ts'
export type { DirectoryEntry, Entry, FileEntry, SymlinkEntry } from './entry.ts'
export { asFileSyncError, ERRORS, FileSyncError, isErrorCode, isFileSyncError } from './errors.ts'
export type { ErrorCode, ErrorDetail, ErrorKind, ExitCode } from './errors.ts'
export { encodeFrame, FLAG_ZSTD, FRAME_HEADER_BYTES, FRAME_TYPES, FrameDecoder, writeFrameHeader } from './frame.ts'
export type { Frame, FrameType, RawFrameType } from './frame.ts'
export { LegacyChannel, LEGACY_LIST } from './legacy-channel.ts'
export type { LegacyReceiveOptions } from './legacy-channel.ts'
export { JsonReader } from './legacy-json.ts'
export type { JsonBounds } from './legacy-json.ts'
export { LEGACY_LIMITS } from './legacy-limits.ts'
export { encodeLegacyMessage, fitLegacyTasks, parseLegacyMessage } from './legacy-messages.ts'
export type { LegacyFile, LegacyFileHeader, LegacyFilesInfo, LegacyMessages, LegacyNextSync, LegacyServerStatus, LegacyTasks } from './legacy-messages.ts'
export { formatLegacyTime, parseLegacyTime, sameMicrosecond } from './legacy-time.ts'
export type { TimeZone } from './legacy-time.ts'
export { ListingAnswers, ListingQuestions } from './listing-exchange.ts'
export type { ArrivedListing } from './listing-exchange.ts'
export { countListing, decodeListing, encodeListing, isSymlinkTarget, readListing } from './listing.ts'
export { ListingWriter } from './listing-writer.ts'
export type { WrittenListing } from './listing-writer.ts'
export { LIMITS } from './limits.ts'
export { decodeMessage, encodeMessage, MESSAGE_TYPES, parseMessage } from './message-schema.ts'
export type {
  Amount, ClientFilesInfo, Close, DeltaTask, DigestTask, EntryReference, FileEnd, FileHeader, FileProblem, FileVerdict, Hello, ListingsWanted, Message, MessageOf,
  MessageType, NextSync, PairDone, PairOk, PairProof, Policy, QuestionedFile, ResumeTask, SafeAnswer, SafeQuestion, ServerStatus, ServerStatusBusy, ServerStatusReady, Stored, SyncPreview, Task, Tasks,
  WholeTask,
} from './messages.ts'
export { checkName, checkWindowsName, compareNames, foldKey, isName, utf8Length } from './name.ts'
export type { Name, NameFault } from './name.ts'
export { PACK_RECORD_BYTES, readPack, writePackRecord } from './pack.ts'
export type { PackedFile } from './pack.ts'
export { encodeParts, PART_HEADER_BYTES, PartsDecoder } from './parts.ts'
export type { Whole } from './parts.ts'
export { fitProblems, isProblemCode, problem, PROBLEMS } from './problem.ts'
export type { Problem, ProblemCode } from './problem.ts'
export { checkJoin, checkRelativePath, isRelativePath, joinPath, pathDepth, pathNames, ROOT_PATH, splitPath } from './relative-path.ts'
export type { PathFault, RelativePath } from './relative-path.ts'
export type { Tree } from './tree.ts'
export { agree, ALPN_PAIR, ALPN_SYNC, FEATURES, hello, VERSIONS } from './version.ts'
export type { Agreement, Feature } from './version.ts'
