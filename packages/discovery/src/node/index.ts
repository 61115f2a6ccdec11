export { announceServer } from './announce-server.ts'
export type { Announcer } from './announce-server.ts'
export { diagnose } from './diagnose.ts'
export { findServers } from './find-servers.ts'
