/**
 * The language that a FileSync client and server speak: names and paths, entries and listings, messages and frames,
 * limits, errors, and a typed connection over any stream of bytes. docs/protocol.md is its specification.
 *
 * @packageDocumentation
 */
export { BufferPool } from './wire/buffer-pool.ts'
export type { ReuseBuffer } from './wire/buffer-pool.ts'
export type { ByteStream } from './wire/byte-stream.ts'
export { backOffMs } from './back-off.ts'
export type { BackOffLimits } from './back-off.ts'
export { wait, waitThroughSleep } from './clock.ts'
export type { Clock } from './clock.ts'
export { compareListings } from './listing/compare.ts'
export type { Difference } from './listing/compare.ts'
export { openConnection } from './wire/connection.ts'
export type { Connection, ConnectionInit, Incoming } from './wire/connection.ts'
export { wrapConnection } from './wire/wrap-connection.ts'
export { ARCHIVE_ID_FILE, archiveIdOf } from './archive-id.ts'
export { civilFromDays, daysFromCivil } from './civil-date.ts'
export type { CivilDate, TimeZone } from './civil-date.ts'
export {
  decodeDiscover, decodeOffer, DISCOVERY_GROUP_IPV4, DISCOVERY_GROUP_IPV6, DISCOVERY_PORT, encodeDiscover, encodeDiscoverV1, encodeOffer,
  isIdPrefix,
} from './wire/datagram.ts'
export type { DiscoverPurpose, DiscoverV1, DiscoverV2, Offer } from './wire/datagram.ts'
export { DIGEST_BYTES, equalDigests, toDigest, toHex } from './digest.ts'
export { DIGEST_RECORD_BYTES, readDigestRecords, writeDigestRecord } from './wire/digest-records.ts'
export type { FileDigest } from './wire/digest-records.ts'
export { digestOffsets } from './listing/digest-offsets.ts'
export type { Digest, HashBytes, Hasher } from './digest.ts'
export { clampTimeNs, sameContent } from './listing/entry.ts'
export type { DirectoryEntry, Entry, EntryReference, FileEntry, SymlinkEntry } from './listing/entry.ts'
export { errnoOf } from './errno.ts'
export { asFileSyncError, ERRORS, FileSyncError, isErrorCode, isFileSyncError } from './errors.ts'
export type { ErrorCode, ErrorDetail, ErrorKind, ExitCode } from './errors.ts'
export { writeFileId } from './file-id.ts'
export { formatSize } from './format-size.ts'
export { encodeFrame, FLAG_ZSTD, FRAME_HEADER_BYTES, FrameDecoder, frameFlags, writeFrameHeader } from './wire/frame.ts'
export type { Frame, FrameType, RawFrameType } from './wire/frame.ts'
export { ListingRequester, ListingResponder } from './listing/listing-exchange.ts'
export type { ArrivedListing } from './listing/listing-exchange.ts'
export { ListingIndex } from './listing/listing-index.ts'
export { countListing, encodeListing, isSymlinkTarget } from './listing/listing.ts'
export { ENTRY_KINDS } from './encoding/listing-kinds.ts'
export { decodeListing, ListingReader, readListing } from './listing/listing-reader.ts'
export { ListingWriter } from './listing/listing-writer.ts'
export type { WrittenListing } from './listing/listing-writer.ts'
export { LIMITS } from './limits.ts'
export { decodeMessage, encodeMessage, TOKEN_ID_BYTES } from './wire/message-schema.ts'
export type {
  Amount, ClientFilesInfo, FileEnd, FileHeader, FileHole, FileProblem, FileVerdict, FolderInfo, Hello, HistoryAnswer, HistoryPoint,
  HistoryQuestion, HistoryVersion, ListingsWanted, Message, MessageOf, MessageType, NextSync, PairProof, PlanMessage, Policy,
  QuestionedFile, RestoreAnswer, RestoreDoubt, RestoreQuestion, SafeAnswer, SafeQuestion, ServerStatusReady, Stored, Task, Tasks,
} from './wire/messages.ts'
export { textHeaderBytes } from './encoding/msgpack-reader.ts'
export { checkName, checkWindowsName, compareNames, foldKey, isName, utf8Length } from './listing/name.ts'
export type { Name, NameFault } from './listing/name.ts'
export { TimeSlice } from './time-slice.ts'
export type { TimeSliceInit } from './time-slice.ts'
export { PACK_RECORD_BYTES, readPack, writePackRecord } from './wire/pack.ts'
export type { PackedFile } from './wire/pack.ts'
export { encodeParts, PART_HEADER_BYTES, PartsDecoder } from './listing/parts.ts'
export type { NumberedBlob } from './listing/parts.ts'
export { fitProblems, isProblemCode, mergeProblems, problem, PROBLEMS } from './problem.ts'
export type { Problem, ProblemCode } from './problem.ts'
export { ProblemList, PROBLEMS_KEPT } from './problem-list.ts'
export {
  checkJoin, checkRelativePath, isRelativePath, joinPath, pathDepth, pathNames, ROOT_PATH, splitFolder, splitPath,
} from './listing/relative-path.ts'
export type { PathFault, RelativePath } from './listing/relative-path.ts'
export type { StagedFile, StageOutcome, StagingArea } from './wire/staging-area.ts'
export type { Tree } from './listing/tree.ts'
export { ALPN_PAIR, ALPN_SYNC, FEATURES, hello, negotiate, VERSIONS } from './wire/version.ts'
export type { Agreement, Feature } from './wire/version.ts'
