import { mkdir, readdir, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { CLIENT_PROGRAM, Stage } from '../src/programs.ts'
import type { RunningServer } from '../src/programs.ts'

const ORIGINAL_CLIENT = fileURLToPath(new URL('../src/original-client.ts', import.meta.url))
const ORIGINAL_SERVER = fileURLToPath(new URL('../src/original-server.ts', import.meta.url))
const HOUR_AGO = 1_700_000_000

let stage: Stage
let source: string

beforeEach(async () => {
  stage = await Stage.open()
  source = stage.path('source')
})

afterEach(async () => { await stage.dispose() })

async function write (path: string, content: string | Uint8Array, mtimeSeconds = HOUR_AGO + 0.123_456): Promise<void> {
  const full = join(source, path)
  await mkdir(dirname(full), { recursive: true })
  await writeFile(full, content)
  await utimes(full, mtimeSeconds, mtimeSeconds)
}

/** The content of all files below a directory, by path. */
async function contents (root: string): Promise<Record<string, string>> {
  const files: Record<string, string> = {}
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    const full = join(entry.parentPath, entry.name)
    if (entry.isFile()) files[full.slice(root.length + 1)] = (await readFile(full)).toString('base64')
  }
  return files
}

describe('a client of the original program and our server', () => {
  const legacyPort = (server: RunningServer): string => String((server.listening as unknown as { legacyPort: number }).legacyPort)
  const sync = async (server: RunningServer, id = 'pc'): Promise<{ readonly asked: number, readonly sleepMs: number }[]> => {
    const { code, stdout, stderr } = await stage.run(ORIGINAL_CLIENT, [legacyPort(server), source, id, '20'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    return stdout.trimEnd().split('\n').map(line => JSON.parse(line) as { asked: number, sleepMs: number })
  }

  test('300 files converge over several syncs, and then only what changed travels', async () => {
    for (let i = 0; i < 300; i++) await write(`folder with a name ${i % 7}/ünïcödé file ${i} ${'x'.repeat(30)}`, `content ${i}`)
    await write('large.bin', new Uint8Array(2_000_000).map((_, i) => i * 13 + (i >> 10)))
    const server = await stage.startServer('server', ['--legacy-port', '0'])
    const rounds = await sync(server)
    expect(rounds.length).toBeGreaterThan(1)
    expect(rounds.reduce((sum, { asked }) => sum + asked, 0)).toBe(301)
    expect(rounds.at(-1)?.sleepMs).toBeGreaterThan(200_000)
    const mirror = join(server.archive, 'legacy', 'client_pc')
    expect(await contents(mirror)).toEqual(await contents(source))

    await write('large.bin', 'small now', HOUR_AGO + 60)
    await rm(join(source, 'folder with a name 3'), { recursive: true })
    expect((await sync(server)).map(({ asked }) => asked)).toEqual([1])
    expect(await contents(mirror)).toEqual(await contents(source))
    const kept = await readdir(join(server.archive, '.filesync', 'versions'), { recursive: true })
    expect(kept.filter(path => path.includes('folder with a name 3/')).length).toBe(43)
    expect(kept.some(path => path.endsWith('large.bin'))).toBe(true)
  })

  test('sends no faster than the limit of the server allows', async () => {
    await write('file', new Uint8Array(1_500_000).map((_, i) => i * 11 + (i >> 9)))
    const server = await stage.startServer('server', ['--legacy-port', '0', '--limit', '500k'])
    const startedMs = Date.now()
    await sync(server)
    const tookMs = Date.now() - startedMs
    // Less a quarter of a second's worth, which may pass at once.
    expect(tookMs).toBeGreaterThan(1000 * 1.5 / 0.5 - 300)
    expect(tookMs).toBeLessThan(20_000)
    expect(await contents(join(server.archive, 'legacy', 'client_pc'))).toEqual(await contents(source))
  })

  test('without an id goes by its address, and gives up where another one is served', async () => {
    await write('a', '1')
    const server = await stage.startServer('server', ['--legacy-port', '0'])
    await sync(server, '-')
    expect(await contents(join(server.archive, 'legacy', 'client_127_0_0_1'))).toEqual(await contents(source))
    const other = connect(Number(legacyPort(server)), '127.0.0.1')
    await new Promise(resolve => { other.once('data', resolve) })
    const { code, stderr } = await stage.run(ORIGINAL_CLIENT, [legacyPort(server), source, 'pc'])
    expect(code).toBe(1)
    expect(stderr).toContain('"status":"BUSY"')
    other.destroy()
    expect((await sync(server)).map(({ asked }) => asked)).toEqual([1])
  })

  test('an id that climbs is refused, and the port is closed unless asked for', async () => {
    await write('a', '1')
    const server = await stage.startServer('server', ['--legacy-port', '0'])
    const { code } = await stage.run(ORIGINAL_CLIENT, [legacyPort(server), source, 'a/../../../victim'])
    expect(code).not.toBe(0)
    expect((await readdir(stage.root)).sort()).toEqual(['server', 'server-archive', 'source'])
    expect(await readdir(server.archive)).toEqual(['.filesync'])
    const plain = await stage.startServer('plain')
    expect(legacyPort(plain)).toBe('undefined')
  })
})

describe('our client and a server of the original program', () => {
  const startOriginal = async (): Promise<string> => {
    const child = stage.start(ORIGINAL_SERVER, [stage.path('repo')])
    return await new Promise(resolve => { createInterface({ input: child.stdout }).once('line', resolve) })
  }
  const push = async (port: string, args: readonly string[] = []): ReturnType<Stage['push']> =>
    await stage.push('client', source, ['--legacy', '--server', `127.0.0.1:${port}`, '--id', 'pc', ...args])

  test('files arrive, and only what changed travels', async () => {
    await write('a/b.txt', 'beta')
    await write('empty', '')
    await write('ünïcödé', 'x')
    await write('large.bin', new Uint8Array(1_500_000).map((_, i) => i * 17 + (i >> 8)))
    const port = await startOriginal()
    const first = await push(port)
    expect(first).toMatchObject({ code: 0, result: { result: 'ok', filesSent: 4, filesTotal: 4 } })
    expect(first.stderr).toContain('UNPROTECTED')
    expect(Date.parse(first.result.nextSyncAt ?? '')).toBeGreaterThan(Date.now() + 30_000)
    const copy = stage.path('repo', 'client_pc')
    expect(await contents(copy)).toEqual(await contents(source))
    await rm(join(source, 'empty'))
    await write('a/b.txt', 'gamma', HOUR_AGO + 3600)
    expect(await push(port)).toMatchObject({ code: 0, result: { filesSent: 1 } })
    expect(await contents(copy)).toEqual(await contents(source))
  })

  test('what cannot travel is named', async () => {
    await write('file', '1')
    await symlink('file', join(source, 'link'))
    await mkdir(join(source, 'nothing'))
    const { code, result } = await push(await startOriginal())
    expect(code).toBe(5)
    const named = result.problems.map(({ path, code }) => `${code} ${path}`).sort()
    expect(named).toEqual(['NOT_CARRIED source/link', 'NOT_CARRIED source/nothing'])
    expect(Object.keys(await contents(stage.path('repo', 'client_pc')))).toEqual(['file'])
  })

  test('a list that the server would cut off is not sent', async () => {
    for (let i = 0; i < 120; i++) await write(`a file with a number ${i}`, `${i}`)
    const { code, result, stderr } = await push(await startOriginal())
    expect(code).toBe(1)
    expect(result).toMatchObject({ result: 'failed', code: 'LIMIT_EXCEEDED' })
    expect(stderr).toContain('8192')
    expect(await readdir(stage.root)).not.toContain('repo')
  })

  test('the address of a paired server is never spoken to in the clear', async () => {
    await write('a', '1')
    const server = await stage.startServer()
    await stage.pair(server, 'client')
    expect((await stage.push('client', source)).code).toBe(0)
    const port = await startOriginal()
    expect(await push(port)).toMatchObject({ code: 4, result: { code: 'IDENTITY_CHANGED', bytesSent: 0 } })
    expect(await stage.push('client', source, ['--legacy', '--server', `localhost:${port}`])).toMatchObject({
      code: 4,
      result: { bytesSent: 0 },
    })
    expect(await readdir(stage.root)).not.toContain('repo')
  })

  test('--legacy without an address is wrong usage', async () => {
    await write('a', '1')
    const { code, stderr } = await stage.run(CLIENT_PROGRAM, ['push', source, '--legacy', ...stage.clientArgs('client')])
    expect(code).toBe(2)
    expect(stderr).toContain('--server')
  })
})

test('our client and our server speak the original protocol too', async () => {
  await write('d/file', 'content')
  const server = await stage.startServer('server', ['--legacy-port', '0'])
  const { legacyPort } = server.listening as unknown as { legacyPort: number }
  const pushed = await stage.push('client', source, ['--legacy', '--server', `127.0.0.1:${legacyPort}`])
  expect(pushed).toMatchObject({ code: 0, result: { filesSent: 1 } })
  expect(await contents(join(server.archive, 'legacy', 'client_127_0_0_1'))).toEqual(await contents(source))
})
