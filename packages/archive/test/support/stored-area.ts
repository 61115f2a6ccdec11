import { closeSync, openSync, readFileSync, statSync, utimesSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { Archive, Area } from '../../src/index.ts'
import type { ArchiveInit } from '../../src/node/index.ts'
import { newArchive, newFolder, WallClock } from './on-disk.ts'
import { push } from './push.ts'
import type { SourceTree } from './source-tree.ts'

export interface StoredArea {
  readonly root: string
  readonly archive: Archive
  readonly area: Area
  readonly source: SourceTree
  readonly clock: WallClock
  /** The place of a path in the mirror. */
  readonly at: (path: string) => string
}

/** Stores a source in a new archive on a disk. */
export async function storeArea (source: SourceTree, init: Partial<ArchiveInit> = {}): Promise<StoredArea> {
  const { root = newFolder() } = init
  const clock = new WallClock(Date.now())
  const archive = await newArchive({ clock, ...init, root })
  const area = await archive.area('laptop')
  await push(area, source)
  return { root, archive, area, source, clock, at: path => join(root, 'laptop', path) }
}

/** Changes one bit of a file, but neither its size nor its time. */
export function flipBit (path: string): void {
  const mtimeSeconds = Number(statSync(path, { bigint: true }).mtimeNs) / 1e9
  const content = readFileSync(path)
  content[content.length >> 1] = (content[content.length >> 1] ?? 0) ^ 1
  const fd = openSync(path, 'r+')
  writeSync(fd, content, 0, content.length, 0)
  closeSync(fd)
  utimesSync(path, mtimeSeconds, mtimeSeconds)
}
