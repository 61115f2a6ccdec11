/**
 * What the two FileSync programs share: settings from flags, environment and file, exit codes, printing that a hostile
 * file name cannot turn against the terminal, and the socket by which commands talk to a running program.
 *
 * @packageDocumentation
 */
export { EventFeed } from './event-feed.ts'
export { createEventLog } from './event-log.ts'
export type { EventLog, EventLogInit, LogEvent } from './event-log.ts'
export { parseListenAddress } from './listen-address.ts'
export type { ListenAddress } from './listen-address.ts'
export { jsonLine, printable } from './printable.ts'
export { problemLines } from './problem-lines.ts'
export { formatCount, formatDuration, parseDuration, parseSize } from './units.ts'
export { describeFinding, digestFinding } from './findings.ts'
export type { DoctorFinding } from './findings.ts'
