import { FileSyncError } from '@filesync/protocol'

/** Where to listen. */
export interface ListenAddress {
  readonly host: string
  /** 0: any free port. */
  readonly port: number
}

const LOOPBACK = '127.0.0.1'

/** `HOST:PORT` with an IPv6 address in brackets, or `PORT` alone for the loopback address. Throws USAGE. */
export function parseListenAddress (text: string): ListenAddress {
  const match = /^(?:(?:\[([0-9a-fA-F:.]+(?:%[\w.-]+)?)\]|([^:[\]\s/]+)):)?(\d{1,5})$/u.exec(text.trim())
  const port = Number(match?.[3])
  if (match === null || port > 65_535) {
    throw new FileSyncError('USAGE', `"${text}" is not HOST:PORT. ` +
      'Write for example 127.0.0.1:9464, [::1]:9464, or 9464 for this machine only.')
  }
  return { host: match[1] ?? match[2] ?? LOOPBACK, port }
}
