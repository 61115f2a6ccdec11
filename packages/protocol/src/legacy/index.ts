/**
 * The original protocol of the Python program: its messages, its JSON framing and its limits. docs/protocol.md describes it
 * under "Legacy".
 *
 * @packageDocumentation
 */
export { LegacyChannel, LEGACY_LIST_OPTIONS } from './legacy-channel.ts'
export type { LegacyThrottle, LegacyReceiveOptions } from './legacy-channel.ts'
export type { JsonBounds } from './legacy-json.ts'
export { LEGACY_LIMITS } from './legacy-limits.ts'
export { encodeLegacyMessage, fitLegacyTasks } from './legacy-messages.ts'
export type { LegacyFile, LegacyFilesInfo, LegacyMessages } from './legacy-messages.ts'
export { formatLegacyTime, parseLegacyTime, sameMicrosecond } from './legacy-time.ts'
