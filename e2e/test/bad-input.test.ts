import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { CLIENT_PROGRAM, SERVER_PROGRAM, Stage } from '../src/programs.ts'
import type { Finished } from '../src/programs.ts'

/** One clear message: no stack trace, no more than a few lines, each of them printed as one, and it says what to do. */
function expectClearMessage (finished: Finished, code: number, ...words: string[]): void {
  expect(finished.code, finished.stderr).toBe(code)
  expect(finished.stderr).not.toMatch(/^\s+at /mu)
  expect(finished.stderr.trimEnd().split('\n').length).toBeLessThanOrEqual(4)
  expect(finished.stderr).not.toContain('\\u{a}')
  for (const word of words) expect(finished.stderr).toContain(word)
}

describe('bad input gets one clear message and its exit code', () => {
  let stage: Stage
  beforeEach(async () => {
    stage = await Stage.open()
    await mkdir(stage.path('source'))
    await writeFile(stage.path('file'), 'a file')
  })
  afterEach(async () => { await stage.dispose() })

  async function client (...args: string[]): Promise<Finished> {
    return await stage.run(CLIENT_PROGRAM, [...args, ...stage.clientArgs('client')])
  }

  async function server (...args: string[]): Promise<Finished> {
    return await stage.run(SERVER_PROGRAM, [...args, '--state-dir', stage.path('server'), '--bind', '127.0.0.1', '--interface', 'lo'])
  }

  test('a directory that does not exist', async () => {
    expectClearMessage(await client('push', stage.path('missing')), 1, stage.path('missing'))
  })

  test('a directory that is a file', async () => {
    expectClearMessage(await client('push', stage.path('file')), 1, stage.path('file'))
  })

  test('no directory at all', async () => {
    expectClearMessage(await client('push'), 2, 'No folder to push was given', '"folders"')
  })

  test('a client that is not paired', async () => {
    expectClearMessage(await client('push', stage.path('source')), 3, 'filesync-server pair')
  })

  test('a client that is not paired, with --json', async () => {
    const finished = await client('push', stage.path('source'), '--json')
    expect(finished.code).toBe(3)
    expect(JSON.parse(finished.stdout)).toMatchObject({ result: 'failed', code: 'NOT_PAIRED', filesSent: 0, nextSyncAt: null })
  })

  test('a folder inside the state directory', async () => {
    await mkdir(stage.path('client', 'folder'), { recursive: true })
    expectClearMessage(await client('push', stage.path('client', 'folder')), 2, stage.path('client', 'folder'), '--state-dir')
    expectClearMessage(await client('push', stage.path('client')), 2, stage.path('client'), '--state-dir')
  })

  test('folders of one name, inside each other, or with names that cannot be stored', async () => {
    const inside = stage.path('source', 'inside')
    await mkdir(inside)
    expectClearMessage(await client('push', stage.path('source'), inside), 2, inside, 'stored twice')
    expectClearMessage(await client('push', stage.path('source'), `SOURCE=${stage.path()}-other`), 2, 'NAME=')
    expectClearMessage(await client('push', `.filesync=${stage.path('source')}`), 2, 'NAME=')
  })

  test('a server that is not there', async () => {
    const running = await stage.startServer()
    await stage.pair(running, 'client')
    await stage.stop(running.child)
    const port = running.listening.port
    expectClearMessage(await client('push', stage.path('source'), '--server', `127.0.0.1:${port}`), 75, `127.0.0.1:${port}`)
  })

  test('a client that was revoked', async () => {
    const running = await stage.startServer()
    await stage.pair(running, 'client', 'laptop')
    const revoked = await stage.run(SERVER_PROGRAM, ['revoke', 'laptop', '--state-dir', running.stateDir])
    expect(revoked.code, revoked.stderr).toBe(0)
    expectClearMessage(await client('push', stage.path('source')), 3, 'revoked')
  })

  test('a server whose key is not the paired one', async () => {
    const running = await stage.startServer()
    await stage.pair(running, 'client')
    await stage.stop(running.child)
    const other = await stage.startServer('other', ['--port', String(running.listening.port)])
    expectClearMessage(await client('push', stage.path('source'), '--server', `127.0.0.1:${other.listening.port}`), 4, 'IDENTITY CHANGED')
  })

  test('a port in use', async () => {
    const occupant = createServer().listen(0, '127.0.0.1')
    await new Promise(resolve => occupant.once('listening', resolve))
    const { port } = occupant.address() as AddressInfo
    expectClearMessage(await server('start', '--archive', stage.path('archive'), '--port', String(port)), 1, String(port), '--port')
    occupant.close()
  })

  test('an archive path that is a file', async () => {
    expectClearMessage(await server('start', '--archive', stage.path('file')), 1, stage.path('file'))
  })

  test('an archive at the root of the disk', async () => {
    expectClearMessage(await server('start', '--archive', '/'), 2, 'Use a directory such as')
  })

  test('a state directory inside the archive', async () => {
    const finished = await stage.run(SERVER_PROGRAM, [
      'start',
      '--archive',
      stage.path('archive'),
      '--state-dir',
      stage.path('archive', 'state'),
    ])
    expectClearMessage(finished, 2, '--state-dir')
  })

  test.each(['peers.json', 'tokens.json'])('a state directory whose %s is damaged', async name => {
    const stateDir = stage.path('damaged')
    await mkdir(stateDir, { mode: 0o700 })
    await writeFile(join(stateDir, name), '', { mode: 0o600 })
    const finished = await stage.run(SERVER_PROGRAM, [
      'start',
      '--archive',
      stage.path('archive'),
      '--state-dir',
      stateDir,
      '--bind',
      '127.0.0.1',
      '--interface',
      'lo',
    ])
    expectClearMessage(finished, 1, join(stateDir, name), 'is damaged')
  })

  test('two servers on one archive', async () => {
    const running = await stage.startServer()
    const second = await stage.run(SERVER_PROGRAM, [
      'start',
      '--archive',
      running.archive,
      '--state-dir',
      stage.path('second'),
      '--bind',
      '127.0.0.1',
      '--interface',
      'lo',
    ])
    expectClearMessage(second, 1, running.archive)
  })

  test('two servers with one state directory', async () => {
    const running = await stage.startServer()
    const second = await stage.run(SERVER_PROGRAM, [
      'start',
      '--archive',
      stage.path('elsewhere'),
      '--state-dir',
      running.stateDir,
      '--bind',
      '127.0.0.1',
      '--interface',
      'lo',
    ])
    expectClearMessage(second, 1, running.stateDir)
  })

  test('unknown options and unusable values', async () => {
    expectClearMessage(await client('push', stage.path('source'), '--nonsense'), 2, '--nonsense')
    expectClearMessage(await server('start', '--archive', stage.path('archive'), '--port', '70000'), 2, '65535')
    expectClearMessage(await client('push', stage.path('source'), '--server', 'nonsense'), 2, 'HOST:PORT')
  })
})
