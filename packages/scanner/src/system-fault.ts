/** An error as the file system throws it. */
export function systemFault (code: string, what: string): Error {
  return Object.assign(new Error(`${code}: ${what}`), { code })
}

/** The code of an error of the system (EACCES, ENOENT, …). */
export function faultCode (error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}

/** Whether an error says that there is nothing, or nothing of the wanted kind, at a path. */
export function isGone (error: unknown): boolean {
  const code = faultCode(error)
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
  const code = faultCode(error)
  // Out of descriptors: nothing is wrong with the directory, and the next one would fare no better.
  return code !== undefined && /^E[A-Z0-9]+$/u.test(code) && code !== 'EMFILE' && code !== 'ENFILE'
}
