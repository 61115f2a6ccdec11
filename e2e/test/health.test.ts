import { randomBytes } from 'node:crypto'
import { mkdir, utimes, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { askControl } from '@filesync/program/node'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { EventTail } from '../src/event-tail.ts'
import { CLIENT_PROGRAM, SERVER_PROGRAM, Stage } from '../src/programs.ts'

const LONG_AGO = 1_700_000_000

let stage: Stage
beforeEach(async () => { stage = await Stage.open() })
afterEach(async () => { await stage.dispose() })

async function write (directory: string, name: string, content: string | Uint8Array): Promise<void> {
  await mkdir(stage.path(directory), { recursive: true })
  await writeFile(stage.path(directory, name), content)
  await utimes(stage.path(directory, name), LONG_AGO, LONG_AGO)
}

/** The samples of a page of metrics, by name and labels. */
async function metricsOf (port: unknown): Promise<Map<string, number>> {
  const answer = await fetch(`http://127.0.0.1:${String(port)}/metrics`)
  expect(answer.headers.get('content-type')).toContain('text/plain')
  const lines = (await answer.text()).split('\n').filter(line => line !== '' && !line.startsWith('#'))
  return new Map(lines.map(line => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]))
}

test('a session is seen while it runs, and what is left of it afterwards, by people, programs and Prometheus', async () => {
  await write('source', 'large.bin', randomBytes(900_000))
  await write('source', 'small', 'x')
  await write('source', 'bell\u0007', 'its name cannot be stored')
  const server = await stage.startServer('server', ['--metrics', '127.0.0.1:0', '--quota', '1G', '--reserve', '0'])
  const port = server.listening.metricsPort
  await stage.pair(server, 'client')
  const events = await EventTail.open(server.stateDir)
  const start = async (
    ...args: readonly string[]
  ): Promise<{ readonly client: ReturnType<Stage['start']>, readonly clientPort: string | undefined }> => {
    const client = stage.start(CLIENT_PROGRAM, [
      'start',
      stage.path('source'),
      '--compress',
      'never',
      '--metrics',
      '127.0.0.1:0',
      ...stage.clientArgs('client'),
      ...args,
    ])
    const line = await new Promise<string>(resolve => {
      createInterface({ input: client.stderr }).once('line', resolve)
    })
    return { client, clientPort: /:(\d+)\/metrics/u.exec(line)?.[1] }
  }
  // So slow that it is looked at from all sides before it is over.
  const slow = await start('--limit', '30k')
  await events.until(({ event, bytes }) => event === 'progress' && Number(bytes) > 0)
  const status = async (args: readonly string[] = [], program = SERVER_PROGRAM, state = 'server'): Promise<string> => {
    const { code, stdout, stderr } = await stage.run(program, ['status', '--state-dir', stage.path(state), ...args])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    return stdout
  }
  const during = JSON.parse(await status(['--json'])) as { sessions: object[] }
  expect(during).toMatchObject({
    active: ['client'], queued: [], queue: [], pairing: false, disk: { quotaBytes: 1e9, reserveBytes: 0 },
    sessions: [{ client: 'client', doing: 'receiving', filesWanted: 2, bytesWanted: 900_001, path: 'source/large.bin' }],
  })
  expect(await status()).toMatch(/^serving +client {2}\d of 2 files, .* of 900 kB, .*\/s,.*source\/large\.bin$/mu)
  expect((await metricsOf(port)).get('filesync_server_sessions_active')).toBe(1)
  expect(await status([], CLIENT_PROGRAM, 'client')).toMatch(/^now +sending \d of 2 files, .* of 900 kB/mu)
  expect((await metricsOf(slow.clientPort)).get('filesync_client_activity{doing="sending"}')).toBe(1)
  expect(await stage.stop(slow.client)).toBe(0)

  const { client, clientPort } = await start()

  // As the client tells its user.
  expect(await events.until(({ event }) => event === 'synced')).toMatchObject({ result: 'PROBLEMS', problems: 1 })
  const after = JSON.parse(await status(['--json'])) as object
  expect(after).toMatchObject({
    active: [],
    sessions: [],
    disk: { files: 2, bytes: 900_001, areas: [{ client: 'client', files: 2, bytes: 900_001 }] },
    peers: [
      {
        client: 'client',
        lastResult: 'problems',
        lastCompleteAt: null,
        problemCount: 1,
        problems: [{ path: 'source/bell\u0007', code: 'NAME_CONTROL' }],
      },
    ],
  })
  expect(await status()).toMatch(
    /^clients +client {2}never synced completely, 900 kB in 2 files, seen .* at 127\.0\.0\.1, next sync .*, 1 not stored\n +source\/bell/mu
  )
  const metrics = await metricsOf(port)
  expect(metrics.get('filesync_server_sessions_total{result="problems"}')).toBe(1)
  expect(metrics.get('filesync_server_stored_bytes_total')).toBe(900_001)
  expect(metrics.get('filesync_server_client_problems{client="client"}')).toBe(1)
  expect(metrics.get('filesync_server_events_total{event="synced"}')).toBe(1)
  expect(metrics.get('process_resident_memory_bytes')).toBeGreaterThan(1e7)
  events.close()

  const own = await EventTail.open(stage.path('client'))
  await write('source', 'another', 'y')
  expect(await own.until(({ event }) => event === 'run')).toMatchObject({ result: 'problems', filesSent: 1 })
  expect(await askControl(stage.path('client'), 'GET /status')).toMatchObject({
    lastCompleteAt: null,
    last: { result: { problemCount: 1 } },
  })
  expect((await metricsOf(clientPort)).get('filesync_client_runs_total{result="problems"}')).toBe(2)

  const follower = stage.start(CLIENT_PROGRAM, ['status', '--follow', '--json', '--state-dir', stage.path('client')])
  let followed: object | undefined
  createInterface({ input: follower.stdout }).once('line', line => { followed = JSON.parse(line) as object })
  // Until it has started it misses runs, so there is another one.
  for (let nth = 2; followed === undefined; nth++) {
    await write('source', `more ${nth}`, 'z')
    await own.until(({ event }) => event === 'run', nth)
  }
  expect(followed).toMatchObject({ event: expect.any(String) as unknown, time: expect.any(String) as unknown })
  expect(await stage.stop(follower, 'SIGINT')).toBe(0)
  own.close()
  for (const child of [client, server.child]) expect(await stage.stop(child)).toBe(0)
})

test('a metrics address that cannot be used is reported at the start, and the programs exit', async () => {
  await write('source', 'small', 'x')
  const taken = createServer()
  await new Promise<void>(resolve => { taken.listen(0, '127.0.0.1', resolve) })
  const { port } = taken.address() as AddressInfo
  const commands = [
    [
      SERVER_PROGRAM,
      ['start', '--archive', stage.path('archive'), '--state-dir', stage.path('server'), '--bind', '127.0.0.1', '--no-discovery'],
    ],
    [CLIENT_PROGRAM, ['start', stage.path('source'), ...stage.clientArgs('client')]],
  ] as const
  await Promise.all(commands.map(async ([program, args]) => {
    const busy = await stage.run(program, [...args, '--metrics', `127.0.0.1:${port}`])
    expect(busy.code).toBe(1)
    expect(busy.stderr).toMatch(new RegExp(`Metrics cannot be served at 127\\.0\\.0\\.1 port ${port}: .*EADDRINUSE.*--metrics`, 'u'))
    const wrong = await stage.run(program, [...args, '--metrics', 'localhost'])
    expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining('"localhost" is not HOST:PORT') as unknown })
  }))
  taken.close()
})

test('without --metrics no port is opened for them', async () => {
  const server = await stage.startServer()
  const status = JSON.parse((await stage.run(SERVER_PROGRAM, ['status', '--json', '--state-dir', server.stateDir])).stdout) as object
  expect(status).toMatchObject({ sessions: [], peers: [] })
  await expect(fetch(`http://127.0.0.1:${server.listening.port}/metrics`)).rejects.toThrow()
  expect(join(server.stateDir, 'run')).toContain(stage.root)
})
