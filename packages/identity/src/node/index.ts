/**
 * Identity on this machine: the key and its files, and TLS connections whose other end is proven.
 *
 * @packageDocumentation
 */
export { openAuditLog } from './audit-log.ts'
export { authenticatePeer, openChannel } from './authenticated-socket.ts'
export type { AuthenticatedSocket, Channel, ChannelInit, Purpose } from './authenticated-socket.ts'
export { openPeers, openServers, openTokens } from './books.ts'
export { connectTls } from './connect.ts'
export type { ConnectInit, Expected } from './connect.ts'
export { loadOrCreateIdentity } from './identity.ts'
export type { Identity } from './identity.ts'
export { LISTEN_LIMITS, listenTls } from './listen.ts'
export type { Listener, ListenInit, ListenLimits, Refusal } from './listen.ts'
export { nodeCrypto } from './node-crypto.ts'
export { ensureStateDir } from './private-file.ts'
