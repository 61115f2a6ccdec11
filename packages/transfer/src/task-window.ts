import { LIMITS } from '@filesync/protocol'

/** Most unanswered tasks: enough that a client never waits for the next page. */
export const UNANSWERED_TASKS_MAX: number = 4 * LIMITS.tasksPerPage

/** Most bytes of signatures for unanswered tasks. */
export const WAITING_SIGNATURE_BYTES_MAX: number = 64 << 20

/**
 * Tasks that a server sends before the first answer, and how many more it sends for each answer: enough to keep a client
 * reading until an answer arrives, and few enough that the server does not keep asking when it could store the first files.
 */
export const FIRST_TASKS_MAX: number = 1024
export const TASKS_PER_ANSWER: number = 16
