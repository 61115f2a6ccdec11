import { LIMITS } from '@filesync/protocol'

/** Tasks that a server may have asked for without an answer: enough that a client never waits for the next page. */
export const UNANSWERED_TASKS_MAX: number = 4 * LIMITS.tasksPerPage

/** Bytes of signatures that a server may have sent for tasks without an answer. */
export const WAITING_SIGNATURE_BYTES_MAX: number = 64 << 20

/**
 * Tasks that a server asks for before the first answer, and how many more with each: enough to keep a client reading for
 * as long as an answer takes, and few enough that the server is not busy with asking when it could store the first files.
 */
export const FIRST_TASKS_MAX: number = 1024
export const TASKS_PER_ANSWER: number = 16
