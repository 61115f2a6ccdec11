/**
 * The identity of this machine: its key and its files, and TLS connections whose peer has proven its identity.
 *
 * @packageDocumentation
 */
export { openAuditLog } from './audit-log.ts'
export type { Channel } from './authenticated-socket.ts'
export { openPeers, openServers, openTokens } from './books.ts'
export { connectTls } from './connect.ts'
export { loadOrCreateIdentity } from './identity.ts'
export type { Identity } from './identity.ts'
export { listenTls } from './listen.ts'
export type { Listener, RefusedConnection } from './listen.ts'
export { nodeCrypto } from './node-crypto.ts'
