/**
 * Who is who: device ids, pairing by a one-time code or an enrolment token, and the books of those who are trusted.
 * Sockets, keys and files are in `@filesync/identity/node`.
 *
 * @packageDocumentation
 */
export { chooseArea, tameName } from './area.ts'
export type { Audit, AuditEvent } from './audit.ts'
export type { PairingCrypto } from './crypto-port.ts'
export { deviceIdBytes, formatDeviceId, idPrefix, isDeviceId, parseDeviceId, readDeviceId, toDeviceId } from './device-id.ts'
export type { DeviceId } from './device-id.ts'
export { formatEnrolmentToken, parseEnrolmentToken } from './enrolment-token.ts'
export type { EnrolmentToken } from './enrolment-token.ts'
export { formatPairingCode, parsePairingCode } from './pairing-code.ts'
export type { PairingCode } from './pairing-code.ts'
export { PairingDesk } from './pairing-desk.ts'
export type { PairingDeskInit, PairingVisit } from './pairing-desk.ts'
export { judgePairing, provePairing } from './pairing.ts'
export type { Admitted, Granted, JudgeInit, PairingChannel, PairingClaim, PairingJudge, PairingSecret, ProveInit } from './pairing.ts'
export { PeerBook } from './peer-book.ts'
export type { Admission, Introduction, Peer } from './peer-book.ts'
export type { PairingTranscript } from './proof.ts'
export type { Change, RecordStore } from './record-store.ts'
export { RefusalLimit } from './refusal-limit.ts'
export type { LeftOut, RefusalLimitInit } from './refusal-limit.ts'
export { findPinned, refuseDowngrade, ServerBook, serversWithPrefix } from './server-book.ts'
export type { Pin, PinnedServer } from './server-book.ts'
export { TokenBook } from './token-book.ts'
export type { TokenRecord, TokenTerms } from './token-book.ts'
