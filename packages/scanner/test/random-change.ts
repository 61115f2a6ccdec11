import { chmodSync, lstatSync, mkdirSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import type { Stats } from 'node:fs'
import { join } from 'node:path'
import type { RelativePath } from '@filesync/protocol'

/** Random numbers from a seed: mulberry32. */
export function random (seed: number): (below: number) => number {
  let state = seed
  return below => {
    state = state + 0x6d2b79f5 | 0
    let mixed = Math.imul(state ^ state >>> 15, 1 | state)
    mixed = mixed + Math.imul(mixed ^ mixed >>> 7, 61 | mixed) ^ mixed
    return ((mixed ^ mixed >>> 14) >>> 0) % below
  }
}

function statOf (path: string): Stats | undefined {
  try {
    return lstatSync(path)
  } catch {
    return undefined
  }
}

/** Does something to a tree and tells which paths it touched. */
export function change (root: string, pick: (below: number) => number): RelativePath[] {
  const name = (): string => `n${pick(6)}`
  const place = (): string => Array.from({ length: 1 + pick(4) }, name).join('/')
  const path = place()
  const full = join(root, path)
  const parent = join(full, '..')
  if (statOf(parent)?.isDirectory() !== true) return []
  const stat = statOf(full)
  const touched = [path as RelativePath]
  switch (pick(7)) {
    case 0: case 1:
      if (stat === undefined || stat.isFile()) {
        writeFileSync(full, 'x'.repeat(pick(2000)))
        utimesSync(full, 1_600_000_000 + pick(1e6), 1_600_000_000 + pick(1e6))
      }
      break
    case 2:
      if (stat === undefined) mkdirSync(full)
      break
    case 3:
      rmSync(full, { recursive: true, force: true })
      break
    case 4: {
      const target = place()
      const other = join(root, target)
      if (stat === undefined || statOf(other) !== undefined || statOf(join(other, '..'))?.isDirectory() !== true || other.startsWith(full)) break
      renameSync(full, other)
      touched.push(target as RelativePath)
      break
    }
    case 5:
      if (stat === undefined) symlinkSync(name(), full)
      break
    default:
      if (stat !== undefined && !stat.isSymbolicLink()) chmodSync(full, stat.isDirectory() ? 0o700 + pick(64) : pick(512))
  }
  return touched
}
