import { mkdirSync, readdirSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { PushResult } from '@filesync/client'
import { seededRandom } from '@filesync/protocol/testing'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { CLIENT_PROGRAM, openPairedStage, SERVER_PROGRAM } from '../src/programs.ts'
import type { Finished, PairedStage } from '../src/programs.ts'
import { treeDifferences } from '../src/trees.ts'

/** Enough for several pages. */
const FILES = 3_000
/** A page has at most 1024 entries of some 50 bytes; a change may touch two, and the table above. */
const CHANGE_BYTES = 100_000
let clockSeconds = 1_700_000_000

let paired: PairedStage
let directory: string
beforeEach(async () => {
  paired = await openPairedStage()
  directory = join(paired.source, 'camera')
  mkdirSync(directory)
  for (let i = 0; i < FILES; i++) put(nameOf(i))
})
afterEach(async () => { await paired.stage.dispose() })

function nameOf (i: number): string {
  return `IMG_${String(i).padStart(6, '0')}.JPG`
}

/** Writes a file that has been quiet for long. */
function put (name: string, content = name): void {
  const path = join(directory, name)
  writeFileSync(path, content)
  utimesSync(path, ++clockSeconds, clockSeconds)
}

async function push (): Promise<Finished & { result: PushResult }> {
  const pushed = await paired.stage.push('client', paired.source)
  expect(pushed, pushed.stderr).toMatchObject({ code: 0, result: { result: 'ok' } })
  return pushed
}

async function differences (): Promise<string[]> {
  return await treeDifferences(paired.source, paired.mirror)
}

test('a directory of many pages is stored, and a change in it costs a few pages', { timeout: 180_000 }, async () => {
  expect((await push()).result).toMatchObject({ filesSent: FILES, filesTotal: FILES })
  expect(await differences()).toEqual([])
  const unchanged = await push()
  expect(unchanged.result.bytesSent).toBeLessThan(8_000)
  const changes: (() => void)[] = [
    () => { put(nameOf(1500), 'changed') },
    () => { put('IMG_001500b.JPG') },
    () => { put('A') },
    () => { rmSync(join(directory, nameOf(3))) },
    () => { renameSync(join(directory, nameOf(2222)), join(directory, 'IMG_000000a.JPG')) },
    () => { mkdirSync(join(directory, 'IMG_000500.JPG.d')) },
    () => { rmSync(join(directory, nameOf(1250))); mkdirSync(join(directory, nameOf(1250))) },
  ]
  for (const change of changes) {
    change()
    const { result } = await push()
    expect(result.bytesSent, change.toString()).toBeLessThan(CHANGE_BYTES)
    expect(await differences()).toEqual([])
  }
  expect((await push()).result.bytesSent).toBeLessThan(8_000)
})

test('random changes across the size at which a directory gets pages are stored exactly', { timeout: 180_000 }, async () => {
  const seed = Math.floor(Math.random() * 1e6)
  const random = seededRandom(seed)
  const sizes = [1000, 1025, 2500, 1024, 1, 1300]
  for (const size of sizes) {
    const names = readdirSync(directory)
    for (const name of names) if (random.below(10) === 0 || random.below(names.length) >= size) rmSync(join(directory, name))
    for (const name of readdirSync(directory).slice(0, 50)) if (random.below(3) === 0) put(name, `other ${String(random.below(1000))}`)
    let count = readdirSync(directory).length
    for (; count > size; count--) rmSync(join(directory, readdirSync(directory)[random.below(count)] ?? ''))
    for (; count < size; count++) put(`${String(random.below(1000))} ${String(clockSeconds)}`)
    const { result } = await paired.stage.push('client', paired.source)
    if (result.result === 'halted') {
      await paired.stage.run(SERVER_PROGRAM, ['release', 'client', '--state-dir', paired.server.stateDir])
      await push()
    }
    expect(await differences(), `seed ${String(seed)}, ${String(size)} names`).toEqual([])
  }
})

test('a started client, safe checks, restores and a verification know all pages', { timeout: 180_000 }, async () => {
  const { stage, server, source } = paired
  const child = stage.start(CLIENT_PROGRAM, ['start', source, '--json', ...stage.clientArgs('client')])
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const run = async (): Promise<PushResult> => {
    const line = await lines.next()
    return JSON.parse(String(line.value)) as PushResult
  }
  expect(await run()).toMatchObject({ result: 'ok', filesSent: FILES })
  put(nameOf(2100), 'changed while the client watches')
  put('new')
  rmSync(join(directory, nameOf(17)))
  while ((await differences()).length > 0) expect(await run()).toMatchObject({ result: 'ok' })
  await stage.stop(child)
  const at = ['--state-dir', stage.path('client')]
  const safe = await stage.run(CLIENT_PROGRAM, ['safe', source, ...stage.clientArgs('client')])
  expect(safe, safe.stderr).toMatchObject({ code: 0 })
  const verified = await stage.run(SERVER_PROGRAM, ['verify', '--state-dir', server.stateDir])
  expect(verified, verified.stderr).toMatchObject({ code: 0 })
  const to = stage.path('restored')
  const restored = await stage.run(CLIENT_PROGRAM, ['restore', 'source', '--to', to, ...at, '--interface', 'lo'])
  expect(restored, restored.stderr).toMatchObject({ code: 0 })
  expect(await treeDifferences(source, join(to, 'source'))).toEqual([])
  const again = stage.path('restored-by-server')
  const byServer = await stage.run(SERVER_PROGRAM, ['restore', 'client', '--at', '0s', '--to', again, '--state-dir', server.stateDir])
  expect(byServer, byServer.stderr).toMatchObject({ code: 0 })
  expect(await treeDifferences(source, join(again, 'source'))).toEqual([])
})
