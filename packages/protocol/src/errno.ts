/** The code of a system or Node error, such as ENOENT or ERR_SSL_NO_PROTOCOLS; '' if it has none. */
export function errnoOf (error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}
