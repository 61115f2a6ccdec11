import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { asFileSyncError, FileSyncError, isErrorCode } from '@filesync/protocol'
import { claimAddress, controlAddress } from './control-address.ts'

// An import of node:http reads all its exports, and one of them loads the whole of fetch: 60 ms at the start of every
// command. The module itself takes 5.
const http = process.getBuiltinModule('node:http')

/**
 * Handlers by method and path, such as `GET /status`. The answer is sent as JSON; an async iterable is sent as one line of
 * JSON per value until it ends. The signal is aborted once nobody waits for the answer.
 */
export type ControlRoutes = Readonly<Record<string, (body: unknown, gone: AbortSignal) => unknown>>

export interface ControlServer {
  close (): Promise<void>
}

/** Limits for the size of a request and of its answer, for concurrent requests, and for the duration of each. */
const MAX_BODY_BYTES = 64 << 10
const MAX_ANSWER_BYTES = 64 << 20
const MAX_CONNECTIONS = 64
const REQUEST_TIMEOUT_MS = 10_000
const CHECK_INTERVAL_MS = 1_000

/**
 * Answers commands on this machine over HTTP, on a Unix socket that only this user can open (a named pipe on Windows). A
 * socket left by a crash is replaced; one that answers means that the state directory is in use: throws STATE_IN_USE. Of
 * several programs that start at the same moment, at most one gets the socket. Throws USAGE if the path is too long for it.
 */
export async function serveControl (stateDir: string, routes: ControlRoutes): Promise<ControlServer> {
  const server = http.createServer({
    requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS, connectionsCheckingInterval: CHECK_INTERVAL_MS,
  }, (incoming, outgoing) => { void respond(routes, incoming, outgoing) })
  server.maxConnections = MAX_CONNECTIONS
  const claimed = await claimAddress(stateDir, async address => { await listen(server, address) }, async () => { await stop(server) })
  return {
    close: async () => {
      // The address is released first: once the server has stopped, the next program may put its own socket there.
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
  /** How long the answer may take; 10 s by default. */
  readonly withinMs?: number
  /** Cancels the question; the running program notices that the connection ends. */
  readonly signal?: AbortSignal
}

/**
 * Asks the program that runs with this state directory. Undefined if none runs. Throws the error that the program answered
 * with, and STATE_IN_USE if it does not answer in time.
 */
export async function askControl (
  stateDir: string, route: string, { body, withinMs = REQUEST_TIMEOUT_MS, signal }: ControlQuestion = {},
): Promise<unknown> {
  const socketPath = controlAddress(stateDir)
  const [method, path] = route.split(' ')
  const text = body === undefined ? '' : JSON.stringify(body)
  return await new Promise((resolveAnswer, reject) => {
    const onNoAnswer = (cause: Error): void => {
      reject(new FileSyncError('STATE_IN_USE', `The program that runs with the state directory ${stateDir} does not answer ` +
        `(${cause.message}). Try again, or restart it.`, { cause }))
    }
    const headers = { 'content-type': 'application/json' }
    const asking = http.request({ socketPath, method, path, agent: false, headers, ...(signal !== undefined && { signal }) }, incoming => {
      readBody(incoming, MAX_ANSWER_BYTES).then(answer => {
        if (incoming.statusCode === 200) resolveAnswer(answer)
        else reject(toError(answer))
      }, onNoAnswer)
    })
    if (Number.isFinite(withinMs)) asking.setTimeout(withinMs, () => { asking.destroy(new Error(`nothing within ${withinMs} ms`)) })
    asking.on('error', (error: NodeJS.ErrnoException) => {
      if (signal?.aborted === true) reject(asFileSyncError(signal.reason, 'ABORTED'))
      else if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') resolveAnswer(undefined)
      else onNoAnswer(error)
    })
    asking.end(text)
  })
}

/**
 * Like {@link askControl}, for a route that answers line by line: yields each line as it arrives, until the program ends the
 * answer. Throws ABORTED if the signal ends it first. Undefined if no program runs.
 */
export async function followControl (
  stateDir: string, route: string, signal: AbortSignal,
): Promise<AsyncGenerator<unknown, void, undefined> | undefined> {
  const socketPath = controlAddress(stateDir)
  const [method, path] = route.split(' ')
  const incoming = await new Promise<IncomingMessage | undefined>((resolveAnswer, reject) => {
    const asking = http.request({ socketPath, method, path, agent: false, signal }, resolveAnswer)
    asking.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') resolveAnswer(undefined)
      else reject(signal.aborted ? asFileSyncError(signal.reason, 'ABORTED') : error)
    })
    asking.end()
  })
  if (incoming === undefined) return undefined
  if (incoming.statusCode !== 200) throw toError(await readBody(incoming, MAX_ANSWER_BYTES))
  return readLines(incoming, signal)
}

async function * readLines (incoming: IncomingMessage, signal: AbortSignal): AsyncGenerator<unknown, void, undefined> {
  let rest = ''
  incoming.setEncoding('utf8')
  try {
    for await (const text of incoming as AsyncIterable<string>) {
      const lines = `${rest}${text}`.split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) yield JSON.parse(line) as unknown
    }
  } catch (error) {
    if (signal.aborted) throw asFileSyncError(signal.reason, 'ABORTED')
    // A killed program ends its stream like this; what it wrote before has been read.
    if ((error as NodeJS.ErrnoException).code !== 'ECONNRESET') throw error
  }
}

async function respond (routes: ControlRoutes, incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  const reply = (status: number, body: unknown): void => {
    const text = JSON.stringify(body ?? null)
    outgoing.writeHead(status, { 'content-type': 'application/json', connection: 'close' }).end(text)
  }
  const gone = new AbortController()
  outgoing.once('close', () => { gone.abort() })
  try {
    const name = `${incoming.method ?? ''} ${incoming.url ?? ''}`
    const route = Object.hasOwn(routes, name) ? routes[name] : undefined
    if (route === undefined) {
      reply(404, { code: 'USAGE', message: 'The running program does not support this command. It may be another version; restart it.' })
      return
    }
    const answer = await route(await readBody(incoming, MAX_BODY_BYTES), gone.signal)
    if (isStream(answer)) await sendLines(answer, outgoing, gone.signal)
    else reply(200, answer)
  } catch (error) {
    const { code, message } = asFileSyncError(error)
    // Once a stream has started, an error can only be signaled by cutting the connection.
    if (outgoing.headersSent) outgoing.destroy()
    else reply(400, { code, message })
  }
}

function isStream (answer: unknown): answer is AsyncIterable<unknown> {
  return typeof answer === 'object' && answer !== null && Symbol.asyncIterator in answer
}

/** Waits until the other end has read what was written, so that a backlog builds up only in the feed, which is bounded. */
async function sendLines (values: AsyncIterable<unknown>, outgoing: ServerResponse, gone: AbortSignal): Promise<void> {
  outgoing.writeHead(200, { 'content-type': 'application/x-ndjson', connection: 'close' })
  outgoing.flushHeaders()
  for await (const value of values) {
    if (gone.aborted) return
    if (outgoing.write(`${JSON.stringify(value)}\n`)) continue
    await new Promise<void>(resolve => {
      outgoing.once('drain', resolve)
      gone.addEventListener('abort', () => { resolve() }, { once: true })
    })
  }
  outgoing.end()
}

/** Throws LIMIT_EXCEEDED, and MESSAGE_INVALID if it is not JSON. */
async function readBody (incoming: IncomingMessage, maxBytes: number): Promise<unknown> {
  const chunks: Buffer[] = []
  let length = 0
  // Left open if this throws, so that the error can still be sent.
  for await (const chunk of incoming.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > maxBytes) throw new FileSyncError('LIMIT_EXCEEDED', `A message on the control socket exceeds ${maxBytes} bytes.`)
    chunks.push(chunk)
  }
  if (length === 0) return undefined
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown
  } catch (cause) {
    throw new FileSyncError('MESSAGE_INVALID', 'A message on the control socket is not valid JSON.', { cause })
  }
}

function toError (answer: unknown): FileSyncError {
  const { code, message } = (answer ?? {}) as { code?: unknown, message?: unknown }
  return new FileSyncError(typeof code === 'string' && isErrorCode(code) ? code : 'INTERNAL', String(message))
}
