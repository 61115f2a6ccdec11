/**
 * The client's side of a session, for a program that brings its own connection and tree.
 *
 * @packageDocumentation
 */
export type { PushResult } from './push/push-result.ts'
export { pushSession } from './push/push-session.ts'
export type { PushableTree, PushDependencies, Pushed } from './push/push-session.ts'
