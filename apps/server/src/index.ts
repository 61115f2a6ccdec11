/**
 * The server's side of a session, for a program that brings its own connections, archive and queue.
 *
 * @packageDocumentation
 */
export { QuestionDesk } from './session/question-desk.ts'
export { serveSession } from './session/serve-session.ts'
export type { Peer, ServeDependencies } from './session/serve-session.ts'
export { SessionQueue } from './schedule/session-queue.ts'
export type { Arrival, SessionQueueInit } from './schedule/session-queue.ts'
