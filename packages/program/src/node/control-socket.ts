import { createHash } from 'node:crypto'
import { chmod, mkdir, rm } from 'node:fs/promises'
import { createServer, request } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { connect } from 'node:net'
import { join, resolve } from 'node:path'
import { asFileSyncError, FileSyncError, isErrorCode } from '@filesync/protocol'

/** Answers by method and path, such as `GET /status`. The answer travels as JSON. */
export type ControlRoutes = Readonly<Record<string, (body: unknown) => unknown>>

export interface ControlServer {
  close (): Promise<void>
}

/** Bounds of what a command may ask, and of how long it waits. */
const MAX_BODY_BYTES = 64 << 10
const REQUEST_TIMEOUT_MS = 10_000
/** What the address of a Unix socket can hold on every system that has them. */
const MAX_SOCKET_PATH_BYTES = 103

/**
 * Answers the commands of this machine over HTTP on a Unix socket that only this user may open (a named pipe on Windows).
 * A socket that a crash left behind is replaced; one that answers means that the state directory is in use: STATE_IN_USE.
 */
export async function serveControl (stateDir: string, routes: ControlRoutes): Promise<ControlServer> {
  const address = controlAddress(stateDir)
  if (await answers(address)) {
    throw new FileSyncError('STATE_IN_USE', `Another program is running with the state directory ${stateDir}. ` +
      'Stop it first, or choose another directory with --state-dir.')
  }
  if (process.platform !== 'win32') {
    await mkdir(join(stateDir, 'run'), { recursive: true, mode: 0o700 })
    await rm(address, { force: true })
  }
  const server = createServer((incoming, outgoing) => { void respond(routes, incoming, outgoing) })
  server.requestTimeout = REQUEST_TIMEOUT_MS
  await new Promise<void>((resolveListening, reject) => {
    server.once('error', cause => {
      reject(new FileSyncError('STATE_INVALID', `The control socket ${address} cannot be opened: ${cause.message}.`, { cause }))
    })
    server.listen(address, resolveListening)
  })
  if (process.platform !== 'win32') await chmod(address, 0o600)
  return {
    close: async () => {
      server.closeAllConnections()
      await new Promise<void>(resolveClosed => { server.close(() => { resolveClosed() }) })
    },
  }
}

/**
 * Asks the program that runs with this state directory. Undefined where none runs. Rejects with the error that the
 * program answered with.
 */
export async function askControl (stateDir: string, route: string, body?: unknown): Promise<unknown> {
  const address = controlAddress(stateDir)
  const [method, path] = route.split(' ')
  const text = body === undefined ? '' : JSON.stringify(body)
  return await new Promise((resolveAnswer, reject) => {
    const asking = request({ socketPath: address, method, path, timeout: REQUEST_TIMEOUT_MS, headers: { 'content-type': 'application/json' } }, incoming => {
      readBody(incoming, Infinity).then(answer => {
        if (incoming.statusCode === 200) resolveAnswer(answer)
        else reject(toError(answer))
      }, reject)
    })
    asking.on('timeout', () => { asking.destroy(new FileSyncError('STATE_IN_USE', 'The running program does not answer.')) })
    asking.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') resolveAnswer(undefined)
      else reject(error)
    })
    asking.end(text)
  })
}

/** Where commands meet the program. Throws USAGE for a path that is too long for a socket. */
function controlAddress (stateDir: string): string {
  const absolute = resolve(stateDir)
  const digest = createHash('sha256').update(absolute).digest('hex').slice(0, 24)
  if (process.platform === 'win32') return `\\\\.\\pipe\\filesync-${digest}`
  const address = join(absolute, 'run', 'control.sock')
  if (Buffer.byteLength(address) <= MAX_SOCKET_PATH_BYTES) return address
  throw new FileSyncError('USAGE', `The path of the state directory ${absolute} is too long for a control socket ` +
    `(${String(Buffer.byteLength(address))} bytes; ${String(MAX_SOCKET_PATH_BYTES)} fit). Choose a shorter one with --state-dir.`)
}

async function answers (address: string): Promise<boolean> {
  return await new Promise(resolveAnswer => {
    const socket = connect(address)
    socket.once('connect', () => {
      socket.destroy()
      resolveAnswer(true)
    })
    socket.once('error', () => { resolveAnswer(false) })
  })
}

async function respond (routes: ControlRoutes, incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  const reply = (status: number, body: unknown): void => {
    outgoing.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body ?? null))
  }
  try {
    const route = routes[`${incoming.method ?? ''} ${incoming.url ?? ''}`]
    if (route === undefined) {
      reply(404, { code: 'USAGE', message: 'The running program does not know this command. It may be of another version.' })
      return
    }
    reply(200, await route(await readBody(incoming, MAX_BODY_BYTES)))
  } catch (error) {
    const { code, message } = asFileSyncError(error)
    reply(400, { code, message })
  }
}

async function readBody (incoming: IncomingMessage, maxLength: number): Promise<unknown> {
  let text = ''
  for await (const chunk of incoming.setEncoding('utf8') as AsyncIterable<string>) {
    text += chunk
    if (text.length > maxLength) throw new FileSyncError('LIMIT_EXCEEDED', 'The command is too long.')
  }
  return text === '' ? undefined : JSON.parse(text) as unknown
}

function toError (answer: unknown): FileSyncError {
  const { code, message } = answer as { code?: unknown, message?: unknown }
  return new FileSyncError(typeof code === 'string' && isErrorCode(code) ? code : 'INTERNAL', String(message))
}
