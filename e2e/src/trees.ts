import { createHash } from 'node:crypto'
import { lstat, readdir, readFile, readlink } from 'node:fs/promises'
import { join } from 'node:path'

/** What a sync has to carry of one entry. */
interface Carried {
  /** Kind, mode, size and content, or the target of a link. */
  readonly text: string
  /** Undefined for a link, whose time is carried where the system can set it. */
  readonly mtimeMs: number | undefined
}

/** Times are set as doubles of seconds, so a copy has them to about a quarter of a microsecond. */
const MTIME_TOLERANCE_MS = 0.002

/**
 * How the tree at `copy` differs from the one at `original`, one line a path; none where they are equal. The root directory's
 * own time and mode are left out. Throws where one of them is not there.
 *
 * @param modes whether modes are compared, which a server on Windows does not keep
 */
export async function treeDifferences (
  original: string,
  copy: string,
  { modes = true }: { readonly modes?: boolean } = {}
): Promise<string[]> {
  const [expected, found] = await Promise.all([describe(original, modes), describe(copy, modes)])
  const paths = new Set([...expected.keys(), ...found.keys()])
  return [...paths].sort().flatMap(path => {
    const [here, there] = [expected.get(path), found.get(path)]
    const sameTime = here?.mtimeMs === there?.mtimeMs || Math.abs((here?.mtimeMs ?? 0) - (there?.mtimeMs ?? 0)) < MTIME_TOLERANCE_MS
    if (here?.text === there?.text && sameTime) return []
    return [`${path}: ${words(here)} in the original, ${words(there)} in the copy`]
  })
}

/** A tree as text, one entry a path: for comparing it with itself at another time. */
export async function describeTree (root: string): Promise<Record<string, string>> {
  return Object.fromEntries([...await describe(root, true)].map(([path, entry]) => [path, words(entry)]))
}

function words (entry: Carried | undefined): string {
  return entry === undefined ? 'absent' : `${entry.text} of ${String(entry.mtimeMs)}`
}

async function describe (
  root: string,
  modes: boolean,
  directory = '',
  entries: Map<string, Carried> = new Map()
): Promise<Map<string, Carried>> {
  for (const name of await readdir(join(root, directory))) {
    const path = directory === '' ? name : `${directory}/${name}`
    const full = join(root, path)
    const stat = await lstat(full)
    const mode = modes ? (stat.mode & 0o777).toString(8) : '-'
    if (stat.isSymbolicLink()) entries.set(path, { text: `link to ${await readlink(full)}`, mtimeMs: undefined })
    else if (stat.isDirectory()) {
      entries.set(path, { text: `directory ${mode}`, mtimeMs: stat.mtimeMs })
      await describe(root, modes, path, entries)
    } else if (stat.isFile()) {
      const digest = createHash('sha256')
        .update(await readFile(full))
        .digest('hex')
      entries.set(path, { text: `file ${mode} ${stat.size} ${digest}`, mtimeMs: stat.mtimeMs })
    } else entries.set(path, { text: 'something else', mtimeMs: undefined })
  }
  return entries
}
