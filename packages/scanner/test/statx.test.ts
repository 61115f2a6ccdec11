import { linkSync, lstatSync, mkdirSync, openSync, closeSync, statSync, symlinkSync, truncateSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { EntryStat } from '../src/entry-stat.ts'
import { fillRecord } from '../src/node/local-directory.ts'
import { openStatx } from '../src/node/statx.ts'
import type { StatAt } from '../src/node/statx.ts'
import { scratch } from './fixture.ts'

function open (directory: string): { readonly statAt: StatAt, readonly descriptor: number } {
  const statAt = openStatx(scratch())
  if (statAt === undefined) throw new Error('statx cannot be called here')
  const descriptor = openSync(directory, 'r')
  onTestFinished(() => { closeSync(descriptor) })
  return { statAt, descriptor }
}

test.runIf(process.platform === 'linux').each(['/proc', '/sys', '/dev', '/dev/shm', '/'])('whatever is asked of %s, statx tells what Node tells', directory => {
  const { statAt, descriptor } = open(directory)
  const told = new EntryStat()
  const known = new EntryStat()
  for (const name of ['.', '..', 'self', 'version', 'kernel', 'null', 'etc', 'shm', 'tmp', 'usr']) {
    const stat = lstatSync(join(directory, name), { bigint: true, throwIfNoEntry: false })
    // Without a time of birth, as in /proc, Node is asked.
    if (!statAt(descriptor, name, told)) continue
    if (stat === undefined) throw new Error(`${name} is not there`)
    fillRecord(known, stat)
    expect([told.mode, told.sizeBytes, ...told.ids, told.mtimeNs], name).toEqual([known.mode, known.sizeBytes, ...known.ids, known.mtimeNs])
  }
})

test.runIf(process.platform === 'linux')('statx tells of every kind of file what Node tells', () => {
  const root = scratch()
  const { statAt, descriptor } = open(root)
  const names = ['plain', 'large', 'hard link', 'soft link', 'dangling', 'directory', 'ünïcödé 🎉', 'x'.repeat(255), '日'.repeat(85), 'old', 'older', 'far', 'farther']
  for (const name of names) if (!['hard link', 'soft link', 'dangling', 'directory'].includes(name)) writeFileSync(join(root, name), name)
  truncateSync(join(root, 'large'), 2 ** 40 + 12_345)
  linkSync(join(root, 'plain'), join(root, 'hard link'))
  symlinkSync('plain', join(root, 'soft link'))
  symlinkSync('nowhere', join(root, 'dangling'))
  mkdirSync(join(root, 'directory'))
  utimesSync(join(root, 'old'), -1.5, -1.5)
  utimesSync(join(root, 'older'), -5e9, -5e9)
  utimesSync(join(root, 'far'), 4_294_967_295.25, 4_294_967_295.25)
  utimesSync(join(root, 'farther'), 9.5e9, 9.5e9)
  expect(statSync(join(root, 'far')).mtimeMs).toBe(4_294_967_295_250)
  const told = new EntryStat()
  const known = new EntryStat()
  for (const name of names) {
    fillRecord(known, lstatSync(join(root, name), { bigint: true }))
    expect(statAt(descriptor, name, told), name).toBe(true)
    expect([told.mode, told.sizeBytes, ...told.ids, told.mtimeNs], name).toEqual([known.mode, known.sizeBytes, ...known.ids, known.mtimeNs])
    expect(told.mtimeMs).toBeCloseTo(known.mtimeMs, 2)
    expect(told.ctimeMs).toBeCloseTo(known.ctimeMs, 2)
  }
})

test.runIf(process.platform === 'linux')('what statx cannot tell is left to Node', () => {
  const root = scratch()
  const { statAt, descriptor } = open(root)
  for (const name of ['absent', 'x'.repeat(256), '日'.repeat(86)]) expect(statAt(descriptor, name, new EntryStat())).toBe(false)
})

test.runIf(process.platform === 'linux')('a directory that cannot be opened or described is left to Node', () => {
  expect(openStatx('/nonexistent')).toBeUndefined()
  // No time of birth there.
  expect(openStatx('/proc')).toBeUndefined()
})
