import { errnoOf } from '@filesync/protocol'

/** An error like those of `node:fs`. */
export function systemFault (code: string, what: string): Error {
  return Object.assign(new Error(`${code}: ${what}`), { code })
}

/** Whether an error means that a path does not exist or is not of the expected type. */
export function isGone (error: unknown): boolean {
  const code = errnoOf(error)
  return code === 'ENOENT' || code === 'ENOTDIR' || code === 'ELOOP'
}

/**
 * The text of a file system error for messages: `EACCES: permission denied`. Without the system call and the path, which may
 * be meaningful only within this process.
 */
export function faultText (error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  return message.split(', ')[0] ?? message
}

/** Whether an error comes from the file system (EACCES, EIO, …) and not from a bug. */
export function isSystemFault (error: unknown): boolean {
  const code = errnoOf(error)
  // Out of descriptors: nothing is wrong with the directory, and the next one would fail too.
  return /^E[A-Z0-9]+$/u.test(code) && code !== 'EMFILE' && code !== 'ENFILE'
}
