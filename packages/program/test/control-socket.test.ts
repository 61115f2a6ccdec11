import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { askControl, followControl, serveControl } from '@filesync/program/node'
import type { ControlRoutes, ControlServer } from '@filesync/program/node'
import { FileSyncError } from '@filesync/protocol'

let stateDir: string
const open: ControlServer[] = []
beforeEach(async () => { stateDir = await mkdtemp(join(tmpdir(), 'filesync-control-')) })
afterEach(async () => {
  for (const server of open.splice(0)) await server.close()
  await rm(stateDir, { recursive: true })
})

const code = (name: string): unknown => expect.objectContaining({ code: name })
const socketPath = (): string => join(stateDir, 'run', 'control.sock')

async function serve (routes: ControlRoutes = {}): Promise<ControlServer> {
  const server = await serveControl(stateDir, routes)
  open.push(server)
  return server
}

/** Sends what no command would send, and resolves with the status and the answer. */
async function send (method: string, path: string, body: string): Promise<readonly [number | undefined, unknown]> {
  return await new Promise((resolve, reject) => {
    const asking = request({ socketPath: socketPath(), method, path, agent: false }, incoming => {
      let text = ''
      incoming.setEncoding('utf8')
        .on('data', (chunk: string) => { text += chunk })
        .on('end', () => { resolve([incoming.statusCode, JSON.parse(text)]) })
    })
    asking.on('error', reject).end(body)
  })
}

/** Leaves a socket as a killed program does. */
async function leaveStale (name: string): Promise<void> {
  await mkdir(join(stateDir, 'run'), { recursive: true })
  const child = spawn(process.execPath, ['-e', `
    require('node:net').createServer().listen(${JSON.stringify(join(stateDir, 'run', name))}, () => process.kill(process.pid, 'SIGKILL'))`])
  await once(child, 'exit')
}

describe('asking', () => {
  test('a route receives the body, and its answer is returned', async () => {
    await serve({ 'POST /double': async body => ({ twice: (body as { n: number }).n * 2 }), 'GET /nothing': () => undefined })
    expect(await askControl(stateDir, 'POST /double', { body: { n: 21 } })).toEqual({ twice: 42 })
    expect(await askControl(stateDir, 'GET /nothing')).toBeNull()
  })

  test('an error is returned with its code and message, and any other exception as INTERNAL', async () => {
    await serve({
      'GET /refused': () => { throw new FileSyncError('NOT_PAIRED', 'Unknown client.') },
      'GET /broken': () => { throw new TypeError('oops') },
      'GET /unspeakable': () => ({ n: 1n }),
    })
    await expect(askControl(stateDir, 'GET /refused'))
      .rejects.toEqual(expect.objectContaining({ code: 'NOT_PAIRED', message: 'Unknown client.' }))
    await expect(askControl(stateDir, 'GET /broken')).rejects.toEqual(code('INTERNAL'))
    await expect(askControl(stateDir, 'GET /unspeakable')).rejects.toEqual(code('INTERNAL'))
  })

  test('a route that the running program does not have is an error', async () => {
    await serve({ 'GET /status': () => 1 })
    await expect(askControl(stateDir, 'POST /status')).rejects.toEqual(code('USAGE'))
    await expect(askControl(stateDir, 'GET /constructor')).rejects.toEqual(code('USAGE'))
  })

  test('the answer is undefined if no program runs, also after a crash', async () => {
    expect(await askControl(stateDir, 'GET /status')).toBeUndefined()
    await leaveStale('control.sock')
    expect(await askControl(stateDir, 'GET /status')).toBeUndefined()
  })

  test('waiting for a program that does not answer ends', async () => {
    let asked = false
    await serve({ 'GET /slow': async () => { asked = true; return await new Promise(() => { /* never */ }) } })
    await expect(askControl(stateDir, 'GET /slow', { withinMs: 50 })).rejects.toEqual(code('STATE_IN_USE'))
    expect(asked).toBe(true)
  })

  test('another program that listens there is reported as STATE_IN_USE', async () => {
    await mkdir(join(stateDir, 'run'))
    const other = createServer(socket => { socket.end('SSH-2.0\r\n') }).listen(socketPath())
    await once(other, 'listening')
    await expect(askControl(stateDir, 'GET /status')).rejects.toEqual(code('STATE_IN_USE'))
    other.close()
  })
})

test('cancelling a question ends it on both sides', async () => {
  const stop = new AbortController()
  let hearEnd: () => void = () => { /* set below */ }
  const end = new Promise<void>(resolve => { hearEnd = resolve })
  await serve({
    'POST /long': async (_, gone) => {
      gone.addEventListener('abort', hearEnd, { once: true })
      stop.abort(new FileSyncError('ABORTED', 'Stopped on request.'))
      await end
    },
  })
  await expect(askControl(stateDir, 'POST /long', { withinMs: Infinity, signal: stop.signal })).rejects.toEqual(code('ABORTED'))
  await end
})

describe('hostile questions', () => {
  test('a body that is too long is refused with an error, and the next question is answered', async () => {
    await serve({ 'POST /echo': body => body })
    expect(await send('POST', '/echo', JSON.stringify('x'.repeat(65_534)))).toEqual([200, 'x'.repeat(65_534)])
    expect(await send('POST', '/echo', JSON.stringify('x'.repeat(65_535))))
      .toEqual([400, expect.objectContaining({ code: 'LIMIT_EXCEEDED' })])
    expect(await askControl(stateDir, 'POST /echo', { body: 1 })).toBe(1)
  })

  test('a body that is not JSON is refused', async () => {
    await serve({ 'POST /echo': body => body })
    expect(await send('POST', '/echo', '{"a":')).toEqual([400, expect.objectContaining({ code: 'MESSAGE_INVALID' })])
  })

  test('the program answers again after a flood of connections', async () => {
    await serve({ 'GET /status': () => 'here' })
    const flood = await Promise.all(Array.from({ length: 300 }, async () => {
      const socket = connect(socketPath())
      socket.on('error', () => { /* turned away */ })
      await once(socket, 'connect')
      return socket
    }))
    for (const socket of flood) socket.destroy()
    await Promise.all(flood.map(async socket => { if (!socket.closed) await once(socket, 'close') }))
    await expect.poll(async () => await askControl(stateDir, 'GET /status').catch(() => 'busy')).toBe('here')
  })
})

describe('a streamed answer', () => {
  const follow = async (signal = new AbortController().signal): Promise<AsyncGenerator<unknown, void, undefined>> => {
    const answer = await followControl(stateDir, 'GET /events', signal)
    if (answer === undefined) throw new Error('nobody answers')
    return answer
  }

  test('arrives line by line, and ends when the reader does', async () => {
    let release: () => void = () => { /* set below */ }
    const left = new Promise<void>(resolve => { release = resolve })
    await serve({
      'GET /events': async function * (_: unknown, gone: AbortSignal) {
        gone.addEventListener('abort', release)
        for (let n = 0; ; n++) yield { n }
      },
    })
    const stop = new AbortController()
    const lines = await follow(stop.signal)
    for (let n = 0; n < 10_000; n++) expect((await lines.next()).value).toEqual({ n })
    stop.abort()
    await left
    await expect((async () => { for await (const _ of lines) { /* what has already arrived */ } })()).rejects.toEqual(code('ABORTED'))
  })

  test('is written only as fast as it is read', async () => {
    let written = 0
    await serve({ 'GET /events': async function * () { for (;;) yield { n: written++, filling: 'x'.repeat(10_000) } } })
    const stop = new AbortController()
    const lines = await follow(stop.signal)
    await lines.next()
    // Another question is answered, so the stream has had its turn.
    expect(await askControl(stateDir, 'GET /nothing').catch((error: unknown) => error)).toEqual(code('USAGE'))
    expect(written).toBeLessThan(10_000)
    stop.abort()
  })

  test('is an error if it is refused, and undefined if no program runs', async () => {
    expect(await followControl(stateDir, 'GET /events', new AbortController().signal)).toBeUndefined()
    await serve({ 'GET /events': () => { throw new FileSyncError('SERVER_BUSY', 'too many') } })
    await expect(follow()).rejects.toEqual(code('SERVER_BUSY'))
  })

  test('ends when the program ends', async () => {
    const server = await serve({ 'GET /events': async function * (_: unknown, gone: AbortSignal) {
      yield 1
      await new Promise(resolve => { gone.addEventListener('abort', resolve) })
    } })
    const lines = await follow()
    expect((await lines.next()).value).toBe(1)
    await server.close()
    expect((await lines.next()).done).toBe(true)
  })
})

describe('the address', () => {
  test('is open to this user alone, even if the directory was open to others before', async () => {
    await mkdir(join(stateDir, 'run'))
    await chmod(join(stateDir, 'run'), 0o777)
    await serve()
    expect((await stat(join(stateDir, 'run'))).mode & 0o777).toBe(0o700)
    expect((await stat(socketPath())).mode & 0o777).toBe(0o600)
    expect(await readdir(join(stateDir, 'run'))).toEqual(['control.sock'])
  })

  test('is refused if its directory is a symbolic link', async () => {
    await mkdir(join(stateDir, 'elsewhere'))
    await symlink(join(stateDir, 'elsewhere'), join(stateDir, 'run'))
    await expect(serve()).rejects.toEqual(code('STATE_INVALID'))
  })

  test('is refused if the path is too long for a socket, before anything is created', async () => {
    const deep = join(stateDir, 'x'.repeat(100))
    await expect(serveControl(deep, {})).rejects.toEqual(code('USAGE'))
    await expect(askControl(deep, 'GET /status')).rejects.toEqual(code('USAGE'))
    expect(await readdir(stateDir)).toEqual([])
    const longest = join(stateDir, 'x'.repeat(103 - '/run/control.sock'.length - stateDir.length - 1))
    const server = await serveControl(longest, { 'GET /status': () => 1 })
    expect(await askControl(longest, 'GET /status')).toBe(1)
    await server.close()
  })

  test('is refused if a file has the name of its directory', async () => {
    await writeFile(join(stateDir, 'run'), '')
    await expect(serve()).rejects.toEqual(code('STATE_INVALID'))
  })

  test('belongs to one program; the next one gets it after that has ended', async () => {
    const first = await serve({ 'GET /who': () => 'first' })
    await expect(serve({ 'GET /who': () => 'second' })).rejects.toEqual(code('STATE_IN_USE'))
    expect(await askControl(stateDir, 'GET /who')).toBe('first')
    await first.close()
    expect(await readdir(join(stateDir, 'run'))).toEqual([])
    await serve({ 'GET /who': () => 'third' })
    expect(await askControl(stateDir, 'GET /who')).toBe('third')
  })

  test('is taken over from killed programs, whether they were running or starting', async () => {
    await leaveStale('control.sock')
    await leaveStale('0123abc.sock')
    await serve({ 'GET /who': () => 'new' })
    expect(await askControl(stateDir, 'GET /who')).toBe('new')
    expect(await readdir(join(stateDir, 'run'))).toEqual(['control.sock'])
  })

  test.each([2, 5])('is given to at most one of %i programs that start at the same moment', async count => {
    await leaveStale('control.sock')
    const started = await Promise.allSettled(Array.from({ length: count }, async (_, n) => await serve({ 'GET /who': () => n })))
    const winners = started.flatMap(({ status }, n) => status === 'fulfilled' ? [n] : [])
    expect(winners.length).toBeLessThanOrEqual(1)
    expect(started.flatMap(outcome => outcome.status === 'rejected' ? [(outcome.reason as FileSyncError).code] : []))
      .toEqual(Array.from({ length: count - winners.length }, () => 'STATE_IN_USE'))
    expect(await askControl(stateDir, 'GET /who')).toBe(winners[0])
  })
})
