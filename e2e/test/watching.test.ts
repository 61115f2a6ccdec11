import { mkdir, mkdtemp, readFile, rename, rm, utimes, writeFile } from 'node:fs/promises'
import { existsSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Interface } from 'node:readline'
import type { PushResult } from '@filesync/client'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { CLIENT_PROGRAM, mirrorOf, SCRATCH, Stage } from '../src/programs.ts'
import type { RunningServer } from '../src/programs.ts'

/** What the scanner waits for a file to be quiet, and what a sync may take after that. */
const SETTLE_MS = 2_000
const REACH_MS = 2_000
/** Test machines share their processors with other work. */
const SLACK_MS = 6_000
const LONG_AGO = 1_700_000_000

const QUEUE_LENGTH = '/proc/sys/fs/inotify/max_queued_events'
const queueLength = existsSync(QUEUE_LENGTH) ? Number(readFileSync(QUEUE_LENGTH, 'utf8')) : 0
/** Only Linux has that queue; filling one that was made much longer than usual would take too long. */
const fillsQueue = queueLength > 0 && queueLength <= 100_000

/** A server that asks nobody to come back, a client that is paired with it, and a source with one file. */
class Scene {
  readonly stage: Stage
  readonly server: RunningServer
  readonly source: string
  /** Where the archive keeps the source. */
  readonly mirror: string

  private constructor (stage: Stage, server: RunningServer) {
    this.stage = stage
    this.server = server
    this.source = stage.path('source')
    this.mirror = mirrorOf(server, 'client', this.source)
  }

  static async open (stage: Stage): Promise<Scene> {
    const scene = new Scene(stage, await stage.startServer('server', ['--interval', '3600']))
    await mkdir(scene.source)
    await writeFile(join(scene.source, 'first'), 'there from the start')
    await utimes(join(scene.source, 'first'), LONG_AGO, LONG_AGO)
    await stage.pair(scene.server, 'client')
    return scene
  }

  /** Starts the client, and waits for the end of its first run. */
  async startClient (...args: string[]): Promise<Runs> {
    return (await this.startRunning(...args)).runs
  }

  /** The same, with the process. */
  async startRunning (...args: string[]): Promise<{ readonly runs: Runs, readonly child: ReturnType<Stage['start']> }> {
    const child = this.stage.start(CLIENT_PROGRAM, ['start', this.source, '--json', ...this.stage.clientArgs('client'), ...args])
    const runs = new Runs(createInterface({ input: child.stdout }))
    expect(await runs.next()).toMatchObject({ result: 'ok', filesSent: 1 })
    return { runs, child }
  }

  async ask (...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.stage.run(CLIENT_PROGRAM, [...args, '--state-dir', this.stage.path('client')])
    expect(code, stderr).toBe(0)
    return stdout
  }
}

/** A test on a stage of its own, so that several can wait at the same time. */
function on (act: (scene: Scene) => Promise<void>): () => Promise<void> {
  return async () => {
    const stage = await Stage.open()
    try {
      await act(await Scene.open(stage))
    } finally {
      await stage.dispose()
    }
  }
}

// By itself, because it is measured.
describe('a client that keeps running', () => {
  test('a change reaches the archive within two seconds of becoming quiet', on(async scene => {
    const runs = await scene.startClient()
    const writtenMs = Date.now()
    await writeFile(join(scene.source, 'new'), 'written while the client watches')
    expect(await runs.next()).toMatchObject({ result: 'ok', filesSent: 1, filesTotal: 2 })
    expect(Date.now() - writtenMs).toBeLessThan(SETTLE_MS + REACH_MS + SLACK_MS)
    expect(await readFile(join(scene.mirror, 'new'), 'utf8')).toBe('written while the client watches')
  }))
})

describe.concurrent('a client that keeps running', () => {
  test.runIf(fillsQueue)(
    'what is new or renamed while the queue of the system is full is stored, and what happens in it later, too',
    on(async scene => {
      const at = (path: string): string => join(scene.source, path)
      const archived = (path: string): Promise<string> => readFile(join(scene.mirror, path), 'utf8').catch(() => '')
      await mkdir(at('old/deep'), { recursive: true })
      const { runs, child } = await scene.startRunning()
      child.kill('SIGSTOP')
      for (let i = 0; i <= queueLength; i += 2) {
        writeFileSync(at('flicker'), '')
        unlinkSync(at('flicker'))
      }
      await rename(at('old'), at('renamed'))
      await mkdir(at('late/deep'), { recursive: true })
      await writeFile(at('late/deep/one'), 'one')
      child.kill('SIGCONT')
      while ((await archived('late/deep/one')) !== 'one') await runs.next()
      // Long after that walk: only a watch notices these.
      for (const path of ['late/deep/two', 'renamed/deep/three']) {
        await writeFile(at(path), path)
        while ((await archived(path)) !== path) await runs.next()
      }
    }),
    60_000
  )

  test('ten thousand changes are one sync', on(async scene => {
    const runs = await scene.startClient()
    await mkdir(join(scene.source, 'burst'))
    await Promise.all(Array.from({ length: 10_000 }, async (_, i) => { await writeFile(join(scene.source, 'burst', `f${i}`), `${i}`) }))
    expect(await runs.next()).toMatchObject({ result: 'ok', filesSent: 10_000, filesTotal: 10_001 })
  }))

  test('status and why tell what is going on', on(async scene => {
    const runs = await scene.startClient()
    expect(await scene.ask('status')).toContain(scene.source)
    expect(JSON.parse(await scene.ask('status', '--json'))).toMatchObject({
      folders: [{ name: 'source', path: scene.source, state: 'complete', files: 1, problemCount: 0, leftOutCount: 0 }],
      watch: { mode: 'watching' },
      last: { result: { result: 'ok' } },
    })
    expect(JSON.parse(await scene.ask('why', 'first', '--json'))).toMatchObject({ path: 'source/first', state: 'stored' })
    expect(JSON.parse(await scene.ask('why', 'source/first', '--json'))).toMatchObject({ path: 'source/first', state: 'stored' })
    expect(JSON.parse(await scene.ask('why', join(scene.source, 'missing'), '--json'))).toMatchObject({ state: 'absent' })
    await writeFile(join(scene.source, '.filesyncignore'), '*.log\n')
    await writeFile(join(scene.source, 'noise.log'), 'x')
    expect(await runs.next()).toMatchObject({ result: 'ok' })
    expect(JSON.parse(await scene.ask('why', 'noise.log', '--json'))).toMatchObject({
      state: 'ignored',
      reason: expect.stringContaining('*.log') as unknown,
    })
    expect((await readFile(join(scene.mirror, '.filesyncignore'), 'utf8'))).toBe('*.log\n')
  }))

  test('an interrupt ends the client in order, and a second run goes on where it was', on(async scene => {
    const child = scene.stage.start(CLIENT_PROGRAM, ['start', scene.source, '--json', ...scene.stage.clientArgs('client')])
    const runs = new Runs(createInterface({ input: child.stdout }))
    await runs.next()
    expect(await scene.stage.stop(child, 'SIGINT')).toBe(0)
    expect(await scene.stage.push('client', scene.source)).toMatchObject({ code: 0, result: { filesSent: 0 } })
  }))
})

describe('a source that is not what it was', () => {
  let stage: Stage
  beforeEach(async () => { stage = await Stage.open() })
  afterEach(async () => { await stage.dispose() })

  test('a client whose state cannot be written goes on', async () => {
    const scene = await Scene.open(stage)
    const runs = await scene.startClient()
    // The file is rewritten here.
    await mkdir(stage.path('client', 'folders.json.new'))
    await writeFile(join(scene.source, 'second'), 'x')
    await runs.until(({ filesTotal }) => filesTotal === 2)
    await writeFile(join(scene.source, 'third'), 'x')
    expect(await runs.until(({ filesTotal, result }) => filesTotal === 3 && result === 'ok')).toMatchObject({ filesSent: 1 })
  })

  test('a single push that cannot write its state says so, and that everything is stored', async () => {
    const scene = await Scene.open(stage)
    await mkdir(stage.path('client', 'folders.json.new'))
    const { code, stderr, result } = await stage.push('client', scene.source)
    expect(result).toMatchObject({ result: 'ok', filesSent: 1 })
    expect(stderr).toContain(`cannot be written to ${stage.path('client')}: EISDIR`)
    expect(code).toBe(0)
  })

  test('a directory that goes away, comes back empty and then whole is waited for, and costs the archive nothing', async () => {
    const source = await mkdtemp(join(SCRATCH, 'filesync-away-'))
    await writeFile(join(source, 'only'), 'x')
    await utimes(join(source, 'only'), LONG_AGO, LONG_AGO)
    const server = await stage.startServer('server', ['--interval', '1'])
    await stage.pair(server, 'client')
    const child = stage.start(CLIENT_PROGRAM, ['start', source, '--json', ...stage.clientArgs('client')])
    const runs = new Runs(createInterface({ input: child.stdout }))
    expect(await runs.next()).toMatchObject({ result: 'ok', filesSent: 1 })
    await rename(source, stage.path('away'))
    await runs.until(({ message }) => message?.includes('has vanished') === true)
    await mkdir(source)
    await runs.until(({ message }) => message?.includes('is empty, but had 1 files') === true)
    await rm(source, { recursive: true })
    await rename(stage.path('away'), source)
    expect(await runs.until(({ result }) => result === 'ok')).toMatchObject({ filesTotal: 1, filesDeleted: 0 })
    expect(await readFile(join(mirrorOf(server, 'client', source), 'only'), 'utf8')).toBe('x')
    expect(await stage.stop(child, 'SIGINT')).toBe(0)
    await rm(source, { recursive: true })
  })

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
    expect(await readFile(join(mirrorOf(server, 'client', source), 'only'), 'utf8')).toBe('x')
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

  /** The first that is like this. */
  async until (isAwaited: (result: PushResult) => boolean): Promise<PushResult> {
    for (;;) {
      const result = await this.next()
      if (isAwaited(result)) return result
    }
  }
}
