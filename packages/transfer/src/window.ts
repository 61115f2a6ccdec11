import { LIMITS } from '@filesync/protocol'

/** Tasks that a server may have asked for without an answer: enough that a client never waits for the next page. */
export const UNANSWERED_TASKS_MAX: number = 4 * LIMITS.tasksPerPage

/** Bytes of signatures that a server may have sent for tasks without an answer. */
export const WAITING_SIGNATURE_BYTES_MAX: number = 64 << 20
