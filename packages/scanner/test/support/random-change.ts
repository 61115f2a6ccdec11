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
 * A path in an existing directory; it may exist or not. Never below a symbolic link, because events there would be reported
 * for another path.
 */
function pickPath (root: string, pick: (below: number) => number): string {
  let directory = ''
  for (let depth = 0; depth < 5 && pick(4) > 0; depth++) {
    const entries = readdirSync(join(root, directory), { withFileTypes: true })
    const inside = entries.filter(entry => entry.isDirectory()).map(({ name }) => name).sort()
    const name = inside[pick(Math.max(inside.length, 1))]
    if (name === undefined) break
    directory += `${name}/`
  }
  return `${directory}n${pick(9)}`
}

/** Makes a random change to a tree and returns the paths that it touched. */
export function change (root: string, pick: (below: number) => number): RelativePath[] {
  const path = pickPath(root, pick)
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
      const target = pickPath(root, pick)
      const other = join(root, target)
      if (stat === undefined || statOf(other) !== undefined || other.startsWith(full)) break
      renameSync(full, other)
      touched.push(target as RelativePath)
      break
    }
    case 5:
      // A directory that is changed while it has another name, and is then renamed back, looks the same from above.
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
