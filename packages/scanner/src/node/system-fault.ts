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
