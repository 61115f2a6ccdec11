import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT_PATH, toHex } from '@filesync/protocol'
import { seededRandom } from '@filesync/protocol/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { open, plainDigest, scratch } from './support/fixture.ts'
import { change } from './support/random-change.ts'
import { openWithManualWatcher } from './support/manual-watcher.ts'
import { entries } from './support/tree-text.ts'

const signal = AbortSignal.timeout(60_000)

describe('a tree with thousands of random changes', () => {
  const seed = Number(process.env['FILESYNC_SEED'] ?? Date.now() % 1e9)

  test(`a watched scan that reads only what changed equals a full walk (FILESYNC_SEED=${seed})`, async () => {
    const pick = seededRandom(seed).below
    const root = scratch()
    writeFileSync(join(root, 'always'), '')
    const { scanner, report } = await openWithManualWatcher(root)
    for (let round = 0; round < 40; round++) {
      for (let i = 0; i < 100; i++) report(change(root, pick))
      const snapshot = await scanner.scan({ signal, waitForSettled: true })
      expect(toHex(snapshot.rootDigest), `round ${round}`).toBe(plainDigest(root))
      const kinds = [...entries(snapshot).values()].map(entry => entry.kind)
      const count = (wanted: string): number => kinds.filter(kind => kind === wanted).length
      expect([snapshot.files, snapshot.directories]).toEqual([count('file'), count('directory')])
    }
  }, 40_000)

  test(`the last of many scans during the changes equals a full walk (FILESYNC_SEED=${seed})`, async () => {
    const pick = seededRandom(seed + 1).below
    const root = scratch()
    writeFileSync(join(root, 'always'), '')
    const scanner = await open(root, { settleMs: 0 })
    for (let round = 0; round < 10; round++) {
      const scanning = scanner.scan({ signal })
      for (let i = 0; i < 200; i++) {
        change(root, pick)
        if (i % 20 === 0) await new Promise(resolve => { setImmediate(resolve) })
      }
      entries(await scanning)
    }
    const last = await scanner.scan({ signal, waitForSettled: true })
    expect(toHex(last.rootDigest)).toBe(plainDigest(root))
    expect(last.listing(ROOT_PATH)).toBeDefined()
  }, 40_000)

  test(`with a real watch, the last scan equals a full walk (FILESYNC_SEED=${seed})`, async () => {
    const pick = seededRandom(seed + 2).below
    const root = scratch()
    writeFileSync(join(root, 'always'), '')
    const scanner = await open(root, { settleMs: 50 })
    const stop = new AbortController()
    const batches = scanner.watch({ signal: stop.signal })[Symbol.asyncIterator]()
    onTestFinished(() => { stop.abort(new Error('over')) })
    await batches.next()
    await scanner.scan({ signal })
    for (let round = 0; round < 6; round++) {
      for (let i = 0; i < 200; i++) {
        change(root, pick)
        if (i % 20 === 0) await new Promise(resolve => { setImmediate(resolve) })
      }
      for (;;) {
        expect((await batches.next()).value).toMatchObject({ reason: 'changes' })
        const snapshot = await scanner.scan({ signal, waitForSettled: true })
        if (toHex(snapshot.rootDigest) === plainDigest(root)) break
      }
    }
    expect(scanner.status.mode).toBe('watching')
  }, 40_000)
})
