import { chmodSync, lstatSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import type { Stats } from 'node:fs'
import { join } from 'node:path'
import type { RelativePath } from '@filesync/protocol'

function statOf (path: string): Stats | undefined {
  try {
    return lstatSync(path)
  } catch {
    return undefined
  }
}

/**
 * A path, there or not, in a directory that is there. Never behind a symbolic link: what happens there happens at another
 * path, and nobody would be told of this one.
 */
function place (root: string, pick: (below: number) => number): string {
  let directory = ''
  for (let depth = 0; depth < 5 && pick(4) > 0; depth++) {
    const inside = readdirSync(join(root, directory), { withFileTypes: true }).filter(entry => entry.isDirectory()).map(({ name }) => name).sort()
    const name = inside[pick(Math.max(inside.length, 1))]
    if (name === undefined) break
    directory += `${name}/`
  }
  return `${directory}n${pick(9)}`
}

/** Does something to a tree and tells which paths it touched. */
export function change (root: string, pick: (below: number) => number): RelativePath[] {
  const path = place(root, pick)
  const full = join(root, path)
  const stat = statOf(full)
  const touched = [path as RelativePath]
  switch (pick(8)) {
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
      if (stat?.isDirectory() !== true || pick(6) === 0) rmSync(full, { recursive: true, force: true })
      break
    case 4: {
      const target = place(root, pick)
      const other = join(root, target)
      if (stat === undefined || statOf(other) !== undefined || other.startsWith(full)) break
      renameSync(full, other)
      touched.push(target as RelativePath)
      break
    }
    case 5:
      // A directory that is changed while it has another name and then has its own again looks the same from above.
      if (stat?.isDirectory() === true) {
        const away = `${path}-away` as RelativePath
        renameSync(full, join(root, away))
        touched.push(away, ...change(join(root, away), pick).map(below => `${away}/${below}` as RelativePath))
        renameSync(join(root, away), full)
      }
      break
    case 6:
      if (stat === undefined) symlinkSync(`n${pick(9)}`, full)
      break
    default:
      if (stat !== undefined && !stat.isSymbolicLink()) chmodSync(full, stat.isDirectory() ? 0o700 + pick(64) : pick(512))
  }
  return touched
}
