/**
 * What the two FileSync programs share: settings from flags, environment and file, exit codes, output that hostile file
 * names cannot turn against the terminal, and the socket through which commands talk to a running program.
 *
 * @packageDocumentation
 */
export { EventFeed } from './event-feed.ts'
export { createEventLog } from './event-log.ts'
export type { EventLog, LogEvent } from './event-log.ts'
export { parseListenAddress } from './listen-address.ts'
export type { ListenAddress } from './listen-address.ts'
export type { ParsedMoment } from './moment.ts'
export { jsonLine, printable } from './printable.ts'
export { problemLines } from './problem-lines.ts'
export { formatCount, formatDuration, parseDuration, parseSize } from './units.ts'
export { describeFinding } from './findings.ts'
export type { DoctorFinding } from './findings.ts'
