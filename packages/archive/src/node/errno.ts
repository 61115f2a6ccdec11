/** The code of a system error, such as ENOENT; '' for anything else. */
export function errnoOf (error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}
