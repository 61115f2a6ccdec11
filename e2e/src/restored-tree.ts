import { chmod, link, lutimes, mkdir, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { randomBytes, seededRandom } from '@filesync/protocol/testing'

const LONG_AGO = 1_600_000_000

export interface TreeInit {
  readonly seed: number
  readonly files: number
  /** Of the two large files: one is random, the other one has a large hole. */
  readonly largeBytes: number
}

/** Makes a tree with all that a restore has to bring back: modes, times, links, hard links, holes, empty files and directories. */
export async function makeTree (root: string, { seed, files, largeBytes }: TreeInit): Promise<void> {
  const random = seededRandom(seed)
  for (let i = 0; i < files; i++) {
    const sizeBytes = i % 10 === 0 ? 0 : Math.floor(random() ** 4 * 60_000)
    const mode = i % 3 === 0 ? 0o600 : 0o644
    await put(root, `many/d${i % 7}/f${i}`, randomBytes(sizeBytes, seed + i), { mode, at: LONG_AGO + i + 0.25 })
  }
  await put(root, 'large/random.bin', randomBytes(largeBytes, seed), { mode: 0o444, at: LONG_AGO + 0.125 })
  const sparse = new Uint8Array(largeBytes)
  sparse.set(randomBytes(70_000, seed + 1), largeBytes - 70_000)
  await put(root, 'large/sparse.img', sparse, { mode: 0o640, at: LONG_AGO })
  await put(root, 'private/deep/er/key', randomBytes(100, seed), { mode: 0o600, at: LONG_AGO })
  await put(root, 'shared/one', randomBytes(40_000, seed + 2), { mode: 0o644, at: LONG_AGO })
  for (const name of ['two', 'three']) await link(join(root, 'shared/one'), join(root, 'shared', name))
  await mkdir(join(root, 'empty'))
  await symlink('one', join(root, 'shared/link'))
  await symlink('/etc/hostname', join(root, 'shared/outside'))
  for (const name of ['link', 'outside']) await lutimes(join(root, 'shared', name), LONG_AGO, LONG_AGO)
  await finishTree(root)
}

/** Gives the directories their modes and times; after every change. */
async function finishTree (root: string): Promise<void> {
  const modes: readonly (readonly [string, number])[] = [
    ['private/deep/er', 0o700], ['private/deep', 0o755], ['private', 0o700], ['empty', 0o711], ['shared', 0o750], ['large', 0o755],
  ]
  for (const [path, mode] of modes) {
    await chmod(join(root, path), mode)
    await utimes(join(root, path), LONG_AGO + 7, LONG_AGO + 7)
  }
}

/** What the paths of a pushed directory begin with in an area: the name of its folder, or nothing if the area is the directory itself. */
export function folderIn (area: string, source: string): string {
  return existsSync(join(area, basename(source))) ? basename(source) : ''
}

/** Replaces, adds and removes some files. */
export async function changeTree (root: string, seed: number): Promise<void> {
  const at = LONG_AGO + 1000 * seed
  await put(root, 'many/d1/f1', randomBytes(5000, seed), { mode: 0o640, at })
  await put(root, `added/by-${seed}`, randomBytes(300_000 + seed, seed), { mode: 0o644, at })
  await rm(join(root, 'many/d2/f2'), { force: true })
  await rm(join(root, `many/d${(seed + 4) % 7}/f${seed + 4}`), { force: true })
  await finishTree(root)
}

async function put (
  root: string, path: string, content: Uint8Array, { mode, at }: { readonly mode: number, readonly at: number },
): Promise<void> {
  await mkdir(dirname(join(root, path)), { recursive: true })
  await rm(join(root, path), { force: true })
  await writeFile(join(root, path), content, { mode })
  await chmod(join(root, path), mode)
  await utimes(join(root, path), at, at)
}
