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
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && /^E[A-Z0-9]+$/u.test(error.code) &&
    // Out of descriptors: nothing is wrong with the directory, and the next one would fare no better.
    error.code !== 'EMFILE' && error.code !== 'ENFILE'
}
