import { errnoOf } from '@filesync/protocol'
/** An error as the file system throws it. */
export function systemFault (code: string, what: string): Error {
  return Object.assign(new Error(`${code}: ${what}`), { code })
}

/** Whether an error says that there is nothing, or nothing of the wanted kind, at a path. */
export function isGone (error: unknown): boolean {
  const code = errnoOf(error)
  return code === 'ENOENT' || code === 'ENOTDIR' || code === 'ELOOP'
}

/**
 * What a file system says, for people: `EACCES: permission denied`, without the system call and the path behind it, which
 * may be one that only this process knows.
 */
export function faultText (error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  return message.split(', ')[0] ?? message
}

/** Whether an error comes from the file system (EACCES, EIO, …) rather than from a fault in the program. */
export function isSystemFault (error: unknown): boolean {
  const code = errnoOf(error)
  // Out of descriptors: nothing is wrong with the directory, and the next one would fare no better.
  return /^E[A-Z0-9]+$/u.test(code) && code !== 'EMFILE' && code !== 'ENFILE'
}
