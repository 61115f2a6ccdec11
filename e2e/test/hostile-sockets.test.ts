import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { connect } from 'node:tls'
import type { TLSSocket } from 'node:tls'
import { listenTls, loadOrCreateIdentity, openServers } from '@filesync/identity/node'
import type { Identity } from '@filesync/identity/node'
import { ALPN_SYNC, FileSyncError, LIMITS } from '@filesync/protocol'
import type { Connection, NextSync } from '@filesync/protocol'
import { socketStream, systemClock } from '@filesync/protocol/node'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { HEARTBEAT, untilReady, untilTasks } from '../src/hostile-client.ts'
import { forTask, HostilePeer, pack } from '../src/hostile-peer.ts'
import { CLIENT_PROGRAM, Stage } from '../src/programs.ts'
import type { Finished, RunningServer } from '../src/programs.ts'
import { describeTree } from '../src/trees.ts'

/** What a terminal would obey. */
// eslint-disable-next-line no-control-regex -- control characters are what it looks for
const RAW_CONTROL = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e]/u
const ESCAPES = '\u001b]0;owned\u0007\u001b[2J\u009b31m\u202etxt.exe\r\n'

describe('a paired client of the real server', () => {
  let stage: Stage
  let server: RunningServer
  let identity: Identity
  const sockets: TLSSocket[] = []

  beforeAll(async () => {
    stage = await Stage.open()
    server = await stage.startServer()
    await stage.pair(server, 'mallory')
    await stage.pair(server, 'honest')
    identity = await loadOrCreateIdentity(stage.path('mallory'))
    await mkdir(stage.path('source'))
    await writeFile(stage.path('source', 'file.txt'), 'stays as it is')
    expect(await stage.push('honest', stage.path('source'))).toMatchObject({ code: 0 })
  })
  afterAll(async () => {
    for (const socket of sockets) socket.destroy()
    await stage.dispose()
  })

  async function dial (): Promise<{ readonly socket: TLSSocket, readonly peer: HostilePeer }> {
    const socket = connect({
      host: '127.0.0.1', port: server.listening.port, key: identity.privateKey, cert: identity.certificate,
      minVersion: 'TLSv1.3', rejectUnauthorized: false, ALPNProtocols: [ALPN_SYNC],
    })
    sockets.push(socket)
    socket.on('error', () => { /* 'close' follows */ })
    await new Promise<void>((resolve, reject) => {
      socket.once('secureConnect', resolve).once('close', () => {
        reject(new Error('It was not let in.'))
      })
    })
    return { socket, peer: new HostilePeer(socketStream(socket)) }
  }

  async function expectServed (): Promise<void> {
    expect(await stage.push('honest', stage.path('source'))).toMatchObject({ code: 0, result: { result: 'ok' } })
  }

  test('is cut after 10 s where it says nothing, or only heartbeats, instead of HELLO', { timeout: 60_000 }, async () => {
    const [silent, beating] = await Promise.all([dial(), dial()])
    const timer = setInterval(() => { void beating.peer.bytes(HEARTBEAT) }, 200)
    const startedMs = performance.now()
    expect(await Promise.all([silent.peer.heardAtEnd(), beating.peer.heardAtEnd()])).toEqual(['PEER_TIMEOUT', 'PEER_TIMEOUT'])
    clearInterval(timer)
    expect(performance.now() - startedMs).toBeLessThan(LIMITS.helloTimeoutMs + 5000)
    await expectServed()
  })

  test('gets its fault over TLS, leaves the archive unchanged, and the next client is served', async () => {
    const before = await describeTree(server.archive + '/honest')
    const { peer } = await dial()
    await untilTasks(peer, { 'file.txt': 'mine now' })
    await peer.raw('PACK', pack({ task: 7, bytes: Buffer.from('mine now') }))
    expect(await peer.heardAtEnd()).toBe('DATA_UNEXPECTED')
    expect(await describeTree(server.archive + '/honest')).toEqual(before)
    await expectServed()
  })

  test('that never reads does not make the server grow', { timeout: 60_000 }, async () => {
    const { socket, peer } = await dial()
    const before = await rssBytes(server)
    // Noise after a HELLO, in frames that are refused at once; nothing that comes back is read.
    for (let i = 0; i < 64; i++) {
      await Promise.race([peer.raw('DATA', forTask(0, new Uint8Array(1 << 20))), closed(socket)])
      if (socket.destroyed) break
    }
    socket.destroy()
    expect(await rssBytes(server) - before).toBeLessThan(100 << 20)
    await expectServed()
  })

  test(
    'that opens connections and says nothing gets no more than a few dozen, and others are served meanwhile',
    { timeout: 60_000 },
    async () => {
      const opened: Awaited<ReturnType<typeof dial>>[] = []
      // One after the other: strangers of one address are bounded, too.
      for (let i = 0; i < 48; i++) opened.push(await dial())
      const ends = Promise.all(opened.map(async ({ peer }) => await peer.heardAtEnd()))
      await expectServed()
      const heard = await ends
      expect(heard.filter(code => code === 'SERVER_BUSY')).toHaveLength(16)
      expect(heard.filter(code => code === 'PEER_TIMEOUT')).toHaveLength(32)
      expect(await stage.push('mallory', stage.path('source'))).toMatchObject({ code: 0 })
    }
  )

  test('that says it is another one is served under its own name alone', async () => {
    const { peer } = await dial()
    await untilReady(peer, { area: 'honest', identity: 'honest' })
    peer.stream.destroy(new Error('gone'))
    await expectServed()
  })
})

async function closed (socket: TLSSocket): Promise<void> {
  if (socket.destroyed) return
  await new Promise(resolve => { socket.once('close', resolve) })
}

async function rssBytes ({ child }: RunningServer): Promise<number> {
  return Number(/VmRSS:\s+(\d+)/u.exec(await readFile(`/proc/${String(child.pid)}/status`, 'utf8'))?.[1] ?? 0) * 1024
}

describe('a server that the real client is paired with', () => {
  let stage: Stage
  const stopped = new AbortController()
  beforeAll(async () => {
    stage = await Stage.open()
    await mkdir(stage.path('source'))
    await writeFile(stage.path('source', 'file.txt'), 'stays as it is')
  })
  afterAll(async () => {
    stopped.abort(new FileSyncError('ABORTED', 'The test is over.'))
    await stage.dispose()
  })

  /** Runs the client program against a server that speaks by hand. */
  async function pushTo (name: string, serve: (connection: Connection) => Promise<void>, args: readonly string[] = []): Promise<Finished> {
    const identity = await loadOrCreateIdentity(stage.path(`${name}-server`))
    const listener = await listenTls({
      identity, port: 0, bind: '127.0.0.1', clock: systemClock, signal: stopped.signal,
      peers: { authorize: async id => ({ id, area: 'laptop', addedAtMs: 0, via: 'token', minProtocol: 2 }) },
      onSync: async ({ connection }) => {
        await connection.receive(['HELLO'])
        await connection.send({ type: 'HELLO', versions: [2], features: ['digest-blake3'], software: `evil${ESCAPES}` })
        await serve(connection)
      },
      onPair: async () => { /* nobody pairs */ },
      onRefused: () => { /* nobody looks */ },
    })
    await openServers(stage.path(name), systemClock).pin({
      id: identity.id,
      name: `nas${ESCAPES}`,
      area: 'laptop',
      via: 'token',
      address: '127.0.0.1',
      port: listener.port,
    })
    const finished = await stage.run(CLIENT_PROGRAM, [
      'push',
      stage.path('source'),
      '--server',
      `127.0.0.1:${String(listener.port)}`,
      '--settle',
      '0',
      ...stage.clientArgs(name),
      ...args,
    ])
    await listener.close()
    return finished
  }

  async function ready (connection: Connection): Promise<void> {
    await connection.send({ type: 'SERVER_STATUS', status: 'BUSY', position: 2 ** 32 - 1, estimateMs: Number.MAX_SAFE_INTEGER })
    await connection.send({
      type: 'SERVER_STATUS',
      status: 'READY',
      session: `s${ESCAPES}`,
      serverName: `nas${ESCAPES}`,
      area: `area${ESCAPES}`,
      policy: { mode: 'mirror', maxFileBytes: 1 },
    })
    await connection.receive(['CLIENT_FILES_INFO'])
  }

  const next = (more: Partial<NextSync> = {}): NextSync => ({
    type: 'NEXT_SYNC',
    inMs: 1000,
    result: 'OK',
    stored: { files: 0, bytes: 0, deleted: 0, renamed: 0 },
    problems: [],
    problemCount: 0,
    ...more,
  })

  function expectHarmless ({ stdout, stderr }: Finished): void {
    expect(stdout + stderr).not.toMatch(RAW_CONTROL)
    expect(stderr).not.toMatch(/^\s+at /mu)
  }

  test.each([
    ['for people', []],
    ['as JSON', ['--json']],
  ])('cannot write to the terminal by its names, problems and messages, shown %s', async (how, args) => {
    const finished = await pushTo(
      `escapes-${String(args.length)}`,
      async connection => {
        await ready(connection)
        await connection.send(
          next({
            result: 'HALTED',
            message: `halted${ESCAPES}`,
            problems: [{ path: `p${ESCAPES}`, code: 'STORE_FAILED', message: `m${ESCAPES}` }],
            problemCount: 1,
          })
        )
        await connection.next().catch(() => {
          /* it is done */
        })
      },
      args
    )
    expectHarmless(finished)
    expect(finished.code, how).toBe(6)
    expect(finished.stdout + finished.stderr).toContain('owned')
  })

  test.each([
    ['for people', []],
    ['as JSON', ['--json']],
  ])('cannot write to the terminal by the words of its goodbye, shown %s', async (how, args) => {
    const finished = await pushTo(
      `goodbye-${String(args.length)}`,
      async connection => {
        await ready(connection)
        await connection.close(new FileSyncError('ARCHIVE_FULL', `full${ESCAPES}`))
      },
      args
    )
    expectHarmless(finished)
    expect(finished.code, how).toBe(1)
    expect(finished.stdout + finished.stderr).toContain('owned')
  })

  test.each([0, Number.MAX_SAFE_INTEGER])('cannot upset it by NEXT_SYNC in %i ms', async inMs => {
    const finished = await pushTo(`next-${String(inMs)}`, async connection => {
      await ready(connection)
      await connection.send(next({ inMs }))
      await connection.next().catch(() => { /* it is done */ })
    }, ['--json'])
    expect(finished.code, finished.stderr).toBe(0)
    const { nextSyncAt } = JSON.parse(finished.stdout.trim().split('\n').at(-1) ?? '') as { nextSyncAt: string }
    const inFact = Date.parse(nextSyncAt) - Date.now()
    expect(inFact).toBeGreaterThan(-60_000)
    expect(inFact).toBeLessThanOrEqual(LIMITS.nextSyncMaxMs)
  })
})
