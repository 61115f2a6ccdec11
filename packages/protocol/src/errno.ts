/** The code of an error of the system or of Node, such as ENOENT or ERR_SSL_NO_PROTOCOLS; '' where it has none. */
export function errnoOf (error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}
