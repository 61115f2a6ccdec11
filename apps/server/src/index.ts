/**
 * The server's side of a session, for a program that brings its own connections, archive and queue.
 *
 * @packageDocumentation
 */
export { SafeCheckDesk } from './session/safe-check-desk.ts'
export { serveSession } from './session/serve-session.ts'
export type { ServedClient, ServeDependencies } from './session/serve-session.ts'
export { SessionQueue } from './schedule/session-queue.ts'
export type { Arrival, SessionQueueInit } from './schedule/session-queue.ts'
