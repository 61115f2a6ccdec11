import { mkdir, mkdtemp, readFile, rename, rm, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Interface } from 'node:readline'
import type { PushResult } from '@filesync/client'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { CLIENT_PROGRAM, SCRATCH, Stage } from '../src/programs.ts'
import type { RunningServer } from '../src/programs.ts'

/** What the scanner waits for a file to be quiet, and what a sync may take after that. */
const SETTLE_MS = 2_000
const REACH_MS = 2_000
/** Test machines share their processors with other work. */
const SLACK_MS = 6_000
const LONG_AGO = 1_700_000_000

describe('a client that keeps running', () => {
  let stage: Stage
  let server: RunningServer
  let source: string

  beforeEach(async () => {
    stage = await Stage.open()
    source = stage.path('source')
    await mkdir(source)
    await writeFile(join(source, 'first'), 'there from the start')
    await utimes(join(source, 'first'), LONG_AGO, LONG_AGO)
    server = await stage.startServer('server', ['--interval', '3600'])
    await stage.pair(server, 'client')
  })

  afterEach(async () => { await stage.dispose() })

  /** Starts the client, and waits for the end of its first run. */
  async function startClient (...args: string[]): Promise<Runs> {
    const child = stage.start(CLIENT_PROGRAM, ['start', source, '--json', ...stage.clientArgs('client'), ...args])
    const runs = new Runs(createInterface({ input: child.stdout }))
    expect(await runs.next()).toMatchObject({ result: 'ok', filesSent: 1 })
    return runs
  }

  async function ask (...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await stage.run(CLIENT_PROGRAM, [...args, '--state-dir', stage.path('client')])
    expect(code, stderr).toBe(0)
    return stdout
  }

  test('a change reaches the archive within two seconds of becoming quiet', async () => {
    const runs = await startClient()
    const writtenMs = Date.now()
    await writeFile(join(source, 'new'), 'written while the client watches')
    expect(await runs.next()).toMatchObject({ result: 'ok', filesSent: 1, filesTotal: 2 })
    expect(Date.now() - writtenMs).toBeLessThan(SETTLE_MS + REACH_MS + SLACK_MS)
    expect(await readFile(join(server.archive, 'client', 'new'), 'utf8')).toBe('written while the client watches')
  })

  test('ten thousand changes are one sync', async () => {
    const runs = await startClient()
    await mkdir(join(source, 'burst'))
    await Promise.all(Array.from({ length: 10_000 }, async (_, i) => { await writeFile(join(source, 'burst', `f${i}`), `${i}`) }))
    expect(await runs.next()).toMatchObject({ result: 'ok', filesSent: 10_000, filesTotal: 10_001 })
  })

  test('status and why tell what is going on', async () => {
    const runs = await startClient()
    expect(await ask('status')).toContain(source)
    expect(JSON.parse(await ask('status', '--json'))).toMatchObject({ directory: source, watch: { mode: 'watching' }, last: { result: { result: 'ok' } } })
    expect(JSON.parse(await ask('why', 'first', '--json'))).toMatchObject({ state: 'stored' })
    expect(JSON.parse(await ask('why', join(source, 'missing'), '--json'))).toMatchObject({ state: 'absent' })
    await writeFile(join(source, '.filesyncignore'), '*.log\n')
    await writeFile(join(source, 'noise.log'), 'x')
    expect(await runs.next()).toMatchObject({ result: 'ok' })
    expect(JSON.parse(await ask('why', 'noise.log', '--json'))).toMatchObject({ state: 'ignored', reason: expect.stringContaining('*.log') as unknown })
    expect((await readFile(join(server.archive, 'client', '.filesyncignore'), 'utf8'))).toBe('*.log\n')
  })

  test('an interrupt ends the client in order, and a second run goes on where it was', async () => {
    const child = stage.start(CLIENT_PROGRAM, ['start', source, '--json', ...stage.clientArgs('client')])
    const runs = new Runs(createInterface({ input: child.stdout }))
    await runs.next()
    expect(await stage.stop(child, 'SIGINT')).toBe(0)
    expect(await stage.push('client', source)).toMatchObject({ code: 0, result: { filesSent: 0 } })
  })
})

describe('a source that is not what it was', () => {
  let stage: Stage
  beforeEach(async () => { stage = await Stage.open() })
  afterEach(async () => { await stage.dispose() })

  test('an emptied directory is not pushed unless that is said to be right', async () => {
    const source = await mkdtemp(join(SCRATCH, 'filesync-emptied-'))
    await writeFile(join(source, 'only'), 'x')
    await utimes(join(source, 'only'), LONG_AGO, LONG_AGO)
    const server = await stage.startServer()
    await stage.pair(server, 'client')
    expect(await stage.push('client', source)).toMatchObject({ code: 0 })
    await rename(join(source, 'only'), stage.path('elsewhere'))
    const refused = await stage.push('client', source)
    expect(refused).toMatchObject({ code: 1, result: { result: 'failed', code: 'SOURCE_SUSPECT' } })
    expect(await readFile(join(server.archive, 'client', 'only'), 'utf8')).toBe('x')
    expect(await stage.push('client', source, ['--accept-source'])).toMatchObject({ code: 0, result: { filesDeleted: 1 } })
    await rm(source, { recursive: true })
  })
})

/** The results that a running client prints, one a run. */
class Runs {
  readonly #lines: AsyncIterator<string>

  constructor (lines: Interface) {
    this.#lines = lines[Symbol.asyncIterator]()
  }

  async next (): Promise<PushResult> {
    const line = await this.#lines.next()
    if (line.done === true) throw new Error('The client ended.')
    return JSON.parse(line.value) as PushResult
  }
}
