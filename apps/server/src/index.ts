/**
 * The server's side of a session, for a program that brings its own connections, archive and queue.
 *
 * @packageDocumentation
 */
export { QuestionDesk } from './question-desk.ts'
export { serveSession } from './serve-session.ts'
export type { Peer, ServeDependencies } from './serve-session.ts'
export { SessionQueue } from './session-queue.ts'
export type { Arrival, SessionQueueInit } from './session-queue.ts'
