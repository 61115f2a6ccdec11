import { existsSync, lstatSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { tmpdir } from 'node:os'
import { afterEach } from 'vitest'
import { ManualClock } from '@filesync/protocol/testing'
import { systemClock } from '@filesync/protocol/node'
import { openArchive } from '../src/node/index.ts'
import type { ArchiveInit } from '../src/node/index.ts'
import type { Archive } from '../src/index.ts'
import type { SourceNode, SourceTree } from './source-tree.ts'

const folders: string[] = []
const archives: Archive[] = []

afterEach(async () => {
  for (const archive of archives.splice(0)) await archive.close()
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

/** A folder that is gone after the test. On a memory file system where there is one: these tests are about order, not about disks. */
export function newFolder (): string {
  const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'filesync-archive-'))
  folders.push(folder)
  return folder
}

export class WallClock extends ManualClock {
  // Batches are due at once; only the wall time is turned by hand.
  override schedule (delayMs: number, callback: () => void): () => void {
    return systemClock.schedule(delayMs, callback)
  }
}

/** An archive that is closed after the test. */
export async function newArchive (init: Partial<ArchiveInit> = {}): Promise<Archive> {
  const archive = await openArchive({
    root: init.root ?? newFolder(), keepMs: 30 * 86_400_000, mode: 'mirror', reserveBytes: 0,
    clock: new WallClock(Date.now()), signal: new AbortController().signal, ...init,
  })
  archives.push(archive)
  return archive
}

/** All that lies in a folder, as lines that tell kind, mode, time and content. */
export function describeFolder (folder: string): string[] {
  const lines: string[] = []
  const visit = (path: string): void => {
    for (const name of readdirSync(join(folder, path)).sort()) {
      const at = path === '' ? name : `${path}/${name}`
      const stat = lstatSync(join(folder, at), { bigint: true })
      const when = String(stat.mtimeNs / 10_000n)
      const mode = (Number(stat.mode) & 0o777).toString(8)
      if (stat.isDirectory()) {
        lines.push(`${at}/ ${mode} ${when}`)
        visit(at)
      } else if (stat.isSymbolicLink()) {
        lines.push(`${at} -> ${readlinkSync(join(folder, at))}`)
      } else {
        lines.push(`${at} ${mode} ${when} ${readFileSync(join(folder, at)).toString('base64').slice(0, 200)} ${String(stat.size)}`)
      }
    }
  }
  visit('')
  return lines.sort()
}

/** What {@link describeFolder} would tell of a source, to ten microseconds, because disks get times through a double. */
export function describeSource (source: SourceTree): string[] {
  const lines: string[] = []
  const when = (mtimeNs: bigint): string => String(mtimeNs / 10_000n)
  const visit = (path: string, children: ReadonlyMap<string, SourceNode>): void => {
    for (const [name, node] of children) {
      const at = path === '' ? name : `${path}/${name}`
      if (node.kind === 'directory') {
        lines.push(`${at}/ ${node.mode.toString(8)} ${when(node.mtimeNs)}`)
        visit(at, node.children)
      } else if (node.kind === 'symlink') {
        lines.push(`${at} -> ${node.target}`)
      } else {
        lines.push(`${at} ${node.mode.toString(8)} ${when(node.mtimeNs)} ${Buffer.from(node.content).toString('base64').slice(0, 200)} ${String(node.content.length)}`)
      }
    }
  }
  visit('', source.root.children)
  return lines.sort()
}

export function versionsIn (root: string, area: string): string[] {
  const home = join(root, '.filesync/versions', area)
  if (!existsSync(home)) return []
  return describeFolder(home).filter(line => !/\/ \d+ \d+$/.test(line)).map(line => line.split(' ')[0]?.split('/').slice(1).join('/') ?? '')
}
