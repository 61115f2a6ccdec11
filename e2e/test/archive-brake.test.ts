import { createCipheriv } from 'node:crypto'
import { cp, mkdir, readdir, readFile, utimes, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { mirrorOf, SERVER_PROGRAM, Stage } from '../src/programs.ts'
import type { RunningServer } from '../src/programs.ts'
import { treeDifferences } from '../src/trees.ts'

const FILES = 250
const ENCRYPTED = 200
const LONG_AGO = 1_600_000_000

let stage: Stage
let server: RunningServer
let source: string

beforeEach(async () => {
  stage = await Stage.open()
  source = stage.path('source')
  for (const client of ['laptop', 'writer']) await stage.introduce(client, 'server')
  server = await stage.startServer()
})
afterEach(async () => { await stage.dispose() })

/** Writes all files again; each generation has its own times. */
async function write (generation: number, contentOf: (i: number) => Uint8Array, files = FILES): Promise<void> {
  for (let i = 0; i < files; i++) {
    const path = join(source, `chapter${i % 5}`, `file${i}`)
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, contentOf(i))
    await utimes(path, LONG_AGO + generation, LONG_AGO + generation)
  }
}

function text (i: number): Uint8Array {
  return Buffer.from(`Chapter ${i}\n${'Nobody had made a copy of what follows. '.repeat(10 + i % 60)}`)
}

function encrypted (content: Uint8Array, key: number): Uint8Array {
  return createCipheriv('aes-256-ctr', Buffer.alloc(32, key), Buffer.alloc(16, 7)).update(content)
}

/** As a camera writes it: a header that compresses, then what does not. */
function picture (i: number): Uint8Array {
  return Buffer.concat([Buffer.alloc(2000, `camera ${i}   `), encrypted(new Uint8Array(8000), i)])
}

test(
  '200 of 250 texts that are encrypted in place halt with exit code 6, and an operator lets them through or brings them back',
  { timeout: 60_000 },
  async () => {
    await write(0, text)
    expect((await stage.push('laptop', source)).code).toBe(0)
    const mirror = mirrorOf(server, 'laptop', source)
    await cp(source, stage.path('before'), { recursive: true, preserveTimestamps: true })
    const at = new Date().toISOString()

    await write(1, i => encrypted(text(i), i), ENCRYPTED)
    const halted = await stage.push('laptop', source)
    expect(halted).toMatchObject({ code: 6, result: { result: 'halted', code: 'HALTED' } })
    expect(halted.stdout).toContain('filesync-server release laptop')
    expect(await treeDifferences(stage.path('before'), mirror)).toEqual([])
    expect(await readdir(join(server.archive, '.filesync/versions/laptop')).catch(() => [])).toEqual([])

    // Again, also from a restarted server, and without sending it all again.
    await stage.stop(server.child)
    server = await stage.startServer()
    const again = await stage.push('laptop', source)
    expect(again).toMatchObject({ code: 6, result: { result: 'halted' } })
    expect(again.result.bytesSent).toBeLessThan(32_000)

    const released = await stage.run(SERVER_PROGRAM, ['release', 'laptop', '--state-dir', server.stateDir])
    expect(released).toMatchObject({ code: 0 })
    expect(await stage.push('laptop', source)).toMatchObject({ code: 0, result: { filesSent: ENCRYPTED } })
    expect(await treeDifferences(source, mirror)).toEqual([])

    const restored = await stage.run(SERVER_PROGRAM, [
      'restore',
      'laptop',
      '--at',
      at,
      '--to',
      stage.path('restored'),
      '--state-dir',
      server.stateDir,
    ])
    expect(restored, restored.stderr).toMatchObject({ code: 0 })
    for (let i = 0; i < FILES; i++)
      expect(await readFile(stage.path('restored', 'source', `chapter${i % 5}`, `file${i}`))).toEqual(
        await readFile(stage.path('before', `chapter${i % 5}`, `file${i}`))
      )
  }
)

test('a push that is halted tells what was stored beside what is held back', { timeout: 30_000 }, async () => {
  await write(0, text)
  expect((await stage.push('laptop', source)).code).toBe(0)
  await write(1, i => encrypted(text(i), i), ENCRYPTED)
  await writeFile(join(source, 'added'), 'It is new, and nothing is replaced by it.')
  const halted = await stage.push('laptop', source)
  expect(halted).toMatchObject({ code: 6, result: { result: 'halted', filesSent: 1 } })
  expect(await readFile(join(mirrorOf(server, 'laptop', source), 'added'), 'utf8')).toContain('It is new')
})

test('a rewritten library of pictures and a full edit of all texts do not trip the brake', async () => {
  await write(0, picture)
  expect((await stage.push('laptop', source)).code).toBe(0)
  await write(1, i => picture(i + 1))
  expect(await stage.push('laptop', source)).toMatchObject({ code: 0, result: { filesSent: FILES } })
  source = stage.path('texts')
  await write(0, text)
  expect((await stage.push('writer', source)).code).toBe(0)
  await write(1, i => Buffer.from(Buffer.from(text(i)).toString('latin1').toUpperCase()))
  expect(await stage.push('writer', source)).toMatchObject({ code: 0, result: { filesSent: FILES } })
  expect(await treeDifferences(source, mirrorOf(server, 'writer', source))).toEqual([])
})
