import { connect } from 'node:net'

const TIMEOUT_MS = 3_000

/** Whether a TCP connection can be established; if not, `why` is the system's message. */
export async function canConnect (
  { address, port }: { readonly address: string, readonly port: number }, signal: AbortSignal,
): Promise<{ readonly reached: true } | { readonly reached: false, readonly why: string }> {
  signal.throwIfAborted()
  return await new Promise(resolve => {
    const socket = connect({ host: address, port })
    const settle = (why?: string): void => {
      socket.destroy()
      resolve(why === undefined ? { reached: true } : { reached: false, why })
    }
    socket.setTimeout(TIMEOUT_MS, () => { settle('no answer in time') })
    socket.once('connect', () => { settle() })
    socket.once('error', error => { settle(error.message) })
    signal.addEventListener('abort', () => { settle('stopped on request') }, { once: true })
  })
}
