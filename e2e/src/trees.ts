import { createHash } from 'node:crypto'
import { lstat, readdir, readFile, readlink } from 'node:fs/promises'
import { join } from 'node:path'

/** Everything about a tree that a sync has to carry, by path: one line an entry. */
export async function describeTree (root: string): Promise<Record<string, string>> {
  const lines: Record<string, string> = {}
  await describe(root, '', lines)
  return lines
}

async function describe (root: string, directory: string, lines: Record<string, string>): Promise<void> {
  for (const name of (await readdir(join(root, directory))).sort()) {
    const path = directory === '' ? name : `${directory}/${name}`
    const full = join(root, path)
    const stat = await lstat(full)
    const mode = (stat.mode & 0o777).toString(8)
    // The system call that sets times takes a double of seconds, so a copy is exact to a quarter of a microsecond.
    const mtime = `${(stat.mtimeMs / 1000).toFixed(6)}`
    if (stat.isSymbolicLink()) lines[path] = `link to ${await readlink(full)}`
    else if (stat.isDirectory()) {
      lines[path] = `directory ${mode} ${mtime}`
      await describe(root, path, lines)
    } else if (stat.isFile()) {
      const digest = createHash('sha256').update(await readFile(full)).digest('hex')
      lines[path] = `file ${mode} ${mtime} ${stat.size} ${digest}`
    } else lines[path] = 'something else'
  }
}
