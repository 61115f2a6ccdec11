/**
 * Identity and trust: device ids, pairing by a one-time code or an enrollment token, and the books of paired devices.
 * Sockets, keys and files are in `@filesync/identity/node`.
 *
 * @packageDocumentation
 */
export { findArea, sanitizeName } from './area.ts'
export type { Audit, AuditEvent } from './audit.ts'
export type { PairingCrypto } from './crypto-port.ts'
export { formatDeviceId, idPrefix, isDeviceId, parseDeviceId, toDeviceId } from './device-id.ts'
export type { DeviceId } from './device-id.ts'
export { parseEnrollmentToken } from './enrollment-token.ts'
export { formatPairingCode, parsePairingCode } from './pairing-code.ts'
export { PairingDesk } from './pairing-desk.ts'
export type { PairedClient } from './pairing-desk.ts'
export { provePairing } from './pairing.ts'
export type { AreaNote, PairingGrant, PairingSecret } from './pairing.ts'
export { PeerBook } from './peer-book.ts'
export type { PairingMethod, Peer } from './peer.ts'
export type { RecordChange, RecordStore } from './record-store.ts'
export { RefusalLimit } from './refusal-limit.ts'
export { findPinned, refuseDowngrade, ServerBook } from './server-book.ts'
export type { PinnedServer } from './server-book.ts'
export { TokenBook } from './token-book.ts'
