import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'
import { ROOT_PATH } from '@filesync/protocol'
import { expect, onTestFinished, test } from 'vitest'
import { Beneath } from '../src/node/beneath.ts'
import { DiskFlushing } from '../src/node/disk-flushing.ts'
import { DiskVersions } from '../src/node/disk-versions.ts'
import * as disk from '../src/node/disk.ts'
import { newFolder } from './support/on-disk.ts'

const STAMP_MS = Date.UTC(2026, 0, 1)

/** From now on link(2) gives a second name to the file that a symbolic link points to, as on macOS. */
function followLinks (): void {
  const original = fs.linkSync
  fs.linkSync = (from, to) => { original(fs.realpathSync(String(from)), to) }
  syncBuiltinESMExports()
  onTestFinished(() => {
    fs.linkSync = original
    syncBuiltinESMExports()
  })
}

test.each(['Linux', 'macOS'])('a replaced symbolic link becomes a version of its own, never the file that it points to, on %s', system => {
  if (system === 'macOS') followLinks()
  const outside = join(newFolder(), 'secret')
  fs.writeFileSync(outside, 'secret')
  const root = newFolder()
  fs.mkdirSync(join(root, 'laptop'))
  for (const [name, target] of [['out', outside], ['nowhere', 'missing']] as const) fs.symlinkSync(target, join(root, 'laptop', name))
  const beneath = new Beneath(root)
  onTestFinished(() => { beneath.close() })
  const versions = new DiskVersions(beneath, new DiskFlushing(beneath, 'each'))
  for (const name of ['out', 'nowhere']) {
    const prefix = beneath.open('laptop')
    const stat = disk.statAt(prefix, name)
    if (stat === undefined) throw new Error(`${name} is not there.`)
    versions.keep({ area: 'laptop', directory: ROOT_PATH, prefix, count: 7, stampMs: STAMP_MS }, name, { stat, keeps: true })
    // Where it can be linked, no reader finds it missing.
    const there = fs.lstatSync(join(root, 'laptop', name), { throwIfNoEntry: false })
    expect(there?.isSymbolicLink()).toBe(system === 'Linux' ? true : undefined)
  }
  const kept = join(root, '.filesync/versions/laptop/0000000007-2026-01-01T00.00.00.000Z')
  expect([fs.readlinkSync(join(kept, 'out')), fs.readlinkSync(join(kept, 'nowhere'))]).toEqual([outside, 'missing'])
  expect(fs.statSync(outside).nlink).toBe(1)
  expect(fs.readdirSync(join(root, '.filesync/staging'))).toEqual([])
})
