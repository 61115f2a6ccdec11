import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { asFileSyncError, FileSyncError, isErrorCode } from '@filesync/protocol'
import { claimAddress, controlAddress } from './control-address.ts'

// An import of node:http reads all its exports, and one of them loads the whole of fetch: 60 ms at the start of every
// command. The module itself takes 5.
const http = process.getBuiltinModule('node:http')

/** Answers by method and path, such as `GET /status`. The answer travels as JSON. */
export type ControlRoutes = Readonly<Record<string, (body: unknown) => unknown>>

export interface ControlServer {
  close (): Promise<void>
}

/** Bounds of what a command may ask, of what it may be told, of how many ask at once, and of how long each waits. */
const MAX_BODY_BYTES = 64 << 10
const MAX_ANSWER_BYTES = 64 << 20
const MAX_CONNECTIONS = 64
const REQUEST_TIMEOUT_MS = 10_000
const CHECK_INTERVAL_MS = 1_000

/**
 * Answers the commands of this machine over HTTP on a Unix socket that only this user may open (a named pipe on Windows).
 * A socket that a crash left behind is replaced; one that answers means that the state directory is in use: STATE_IN_USE.
 * Of several that start at the same moment, at most one gets it. Throws USAGE for a path too long for a socket.
 */
export async function serveControl (stateDir: string, routes: ControlRoutes): Promise<ControlServer> {
  const server = http.createServer({
    requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS, connectionsCheckingInterval: CHECK_INTERVAL_MS,
  }, (incoming, outgoing) => { void respond(routes, incoming, outgoing) })
  server.maxConnections = MAX_CONNECTIONS
  const claimed = await claimAddress(stateDir, async address => { await listen(server, address) }, async () => { await stop(server) })
  return {
    close: async () => {
      // The address goes first: once the socket is deaf, the next program may put its own there.
      await claimed.release()
      await stop(server)
    },
  }
}

async function listen (server: Server, address: string): Promise<void> {
  await new Promise<void>((resolveListening, reject) => {
    server.once('error', reject)
    server.listen(address, () => {
      server.off('error', reject)
      resolveListening()
    })
  })
}

async function stop (server: Server): Promise<void> {
  server.closeAllConnections()
  await new Promise<void>(resolveClosed => { server.close(() => { resolveClosed() }) })
}

interface ControlQuestion {
  readonly body?: unknown
  /** How long the answer may take; 10 s unless told. */
  readonly withinMs?: number
}

/**
 * Asks the program that runs with this state directory. Undefined where none runs. Rejects with the error that the
 * program answered with, or with STATE_IN_USE where it does not answer within the time.
 */
export async function askControl (stateDir: string, route: string, { body, withinMs = REQUEST_TIMEOUT_MS }: ControlQuestion = {}): Promise<unknown> {
  const socketPath = controlAddress(stateDir)
  const [method, path] = route.split(' ')
  const text = body === undefined ? '' : JSON.stringify(body)
  return await new Promise((resolveAnswer, reject) => {
    const silent = (cause: Error): void => {
      reject(new FileSyncError('STATE_IN_USE', `The program that runs with the state directory ${stateDir} does not answer (${cause.message}). Try again, or restart it.`, { cause }))
    }
    const asking = http.request({ socketPath, method, path, agent: false, headers: { 'content-type': 'application/json' } }, incoming => {
      readBody(incoming, MAX_ANSWER_BYTES).then(answer => {
        if (incoming.statusCode === 200) resolveAnswer(answer)
        else reject(toError(answer))
      }, silent)
    })
    if (Number.isFinite(withinMs)) asking.setTimeout(withinMs, () => { asking.destroy(new Error('it is silent')) })
    asking.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') resolveAnswer(undefined)
      else silent(error)
    })
    asking.end(text)
  })
}

async function respond (routes: ControlRoutes, incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  const reply = (status: number, body: unknown): void => {
    const text = JSON.stringify(body ?? null)
    outgoing.writeHead(status, { 'content-type': 'application/json', connection: 'close' }).end(text)
  }
  try {
    const name = `${incoming.method ?? ''} ${incoming.url ?? ''}`
    const route = Object.hasOwn(routes, name) ? routes[name] : undefined
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

/** Throws LIMIT_EXCEEDED, or MESSAGE_INVALID where it is no JSON. */
async function readBody (incoming: IncomingMessage, maxBytes: number): Promise<unknown> {
  const chunks: Buffer[] = []
  let length = 0
  // Left open on a throw, so that the error still finds its way back.
  for await (const chunk of incoming.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > maxBytes) throw new FileSyncError('LIMIT_EXCEEDED', 'The command is too long.')
    chunks.push(chunk)
  }
  if (length === 0) return undefined
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown
  } catch (cause) {
    throw new FileSyncError('MESSAGE_INVALID', 'What was said is no JSON.', { cause })
  }
}

function toError (answer: unknown): FileSyncError {
  const { code, message } = (answer ?? {}) as { code?: unknown, message?: unknown }
  return new FileSyncError(typeof code === 'string' && isErrorCode(code) ? code : 'INTERNAL', String(message))
}
