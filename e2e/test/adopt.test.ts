import { cp, mkdir, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { randomBytes } from '@filesync/protocol/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { CLIENT_PROGRAM, mirrorOf, SERVER_PROGRAM, Stage } from '../src/programs.ts'
import type { RunningServer } from '../src/programs.ts'
import { treeDifferences } from '../src/trees.ts'

const LONG_AGO = 1_700_000_000
const FILES = 150

/** Content that does not compress, of a size between 4 and 150 KiB. */
function noise (seed: number, sizeBytes = 4096 + seed * 1000): Uint8Array {
  return randomBytes(sizeBytes, seed)
}

async function makeTree (root: string): Promise<void> {
  for (let i = 0; i < FILES; i++) {
    const path = join(root, `d${i % 7}`, `e${i % 3}`, `f${i}`)
    await mkdir(join(path, '..'), { recursive: true })
    await writeFile(path, noise(i))
    await utimes(path, LONG_AGO + i + 0.123_456, LONG_AGO + i + 0.123_456)
  }
  await writeFile(join(root, 'large'), noise(7, 6_000_000))
  await utimes(join(root, 'large'), LONG_AGO, LONG_AGO)
}

describe('a copy that was made before', () => {
  let stage: Stage
  let source: string

  beforeEach(async () => {
    stage = await Stage.open()
    source = stage.path('source')
    await makeTree(source)
  })

  afterEach(async () => { await stage.dispose() })

  async function pushesLittle (server: RunningServer): Promise<void> {
    const pushed = await stage.push('client', source)
    expect(pushed).toMatchObject({ code: 0, result: { result: 'ok', filesDeleted: 0 } })
    expect(pushed.result.bytesSent).toBeLessThan(0.02 * pushed.result.bytesTotal)
    expect(await treeDifferences(source, mirrorOf(server, 'laptop', source))).toEqual([])
    const again = await stage.push('client', source)
    expect(again.result.bytesSent).toBeLessThan(2048)
    const safe = await stage.run(CLIENT_PROGRAM, ['safe', source, ...stage.clientArgs('client')])
    expect(safe).toMatchObject({ code: 0, stdout: expect.stringContaining(`All ${FILES + 1} are safe`) as string })
  }

  test('with its times is adopted by the running server, and nothing of it is sent again', async () => {
    const server = await stage.startServer()
    await stage.pair(server, 'client', 'laptop')
    const copy = stage.path('copy')
    await cp(source, copy, { recursive: true, preserveTimestamps: true })
    const adopted = await stage.run(SERVER_PROGRAM, ['adopt', 'laptop/source', copy, '--state-dir', server.stateDir, '--json'])
    expect(adopted.code, adopted.stderr).toBe(0)
    expect(JSON.parse(adopted.stdout)).toMatchObject({ client: 'laptop', folder: 'source', files: FILES + 1, held: 0, problemCount: 0 })
    await pushesLittle(server)
  })

  test('without its times is adopted while no server runs, and only digests travel; what has changed since is sent', async () => {
    const first = await stage.startServer()
    await stage.pair(first, 'client', 'laptop')
    const copy = stage.path('copies', 'source')
    await cp(source, copy, { recursive: true })
    // Of the same size and another content, as a database has it.
    await writeFile(join(copy, 'd1', 'e1', 'f1'), noise(99, 4096 + 1000))
    const args = ['adopt', 'laptop', copy, '--archive', first.archive]
    expect((await stage.run(SERVER_PROGRAM, [...args, '--state-dir', stage.path('elsewhere')])).code).not.toBe(0)
    await stage.stop(first.child)
    expect(
      (await stage.run(SERVER_PROGRAM, ['adopt', 'nobody', copy, '--archive', first.archive, '--state-dir', first.stateDir])).code
    ).toBe(2)
    const adopted = await stage.run(SERVER_PROGRAM, [...args, '--state-dir', first.stateDir])
    expect(adopted.code, adopted.stderr).toBe(0)
    expect(adopted.stdout).toContain(`laptop/source: imported ${FILES + 1} files`)
    await pushesLittle(await stage.startServer('server', ['--port', String(first.listening.port)]))
  })

  test('that was placed in the archive beside a folder that is stored is adopted in place, and nothing of it is sent again', async () => {
    const server = await stage.startServer()
    await stage.pair(server, 'client', 'laptop')
    const other = stage.path('other')
    await mkdir(other)
    await writeFile(join(other, 'file'), 'x')
    expect((await stage.push('client', other)).code).toBe(0)
    const placed = mirrorOf(server, 'laptop', source)
    await cp(source, placed, { recursive: true, preserveTimestamps: true })
    const adopted = await stage.run(SERVER_PROGRAM, ['adopt', 'laptop', placed, '--state-dir', server.stateDir, '--json'])
    expect(adopted.code, adopted.stderr).toBe(0)
    expect(JSON.parse(adopted.stdout)).toMatchObject({ client: 'laptop', folder: 'source', files: FILES + 1, held: 0, problemCount: 0 })
    await pushesLittle(server)
    expect(await treeDifferences(other, mirrorOf(server, 'laptop', other))).toEqual([])
    expect((await stage.run(SERVER_PROGRAM, ['adopt', 'laptop', placed, '--state-dir', server.stateDir])).code).toBe(2)
  })
})
