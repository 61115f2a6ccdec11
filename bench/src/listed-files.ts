import { closeSync, lstatSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { encodeListing, listingDigest } from '@filesync/protocol'
import type { FileEntry, Name, Task, Tree } from '@filesync/protocol'
import { hashBytes } from '@filesync/protocol/node'

/** Files on disk, with their listing and tasks in a session. */
export interface ListedFiles {
  readonly root: string
  readonly tree: Tree
  readonly tasks: readonly Task[]
  readonly sizes: readonly number[]
}

/**
 * One directory of files with realistic sizes: log-normal with median 4 KiB. Recorded figures depend on these files, so the
 * generator (xorshift32) must not change.
 */
export function makeSmallFiles (root: string, count: number): ListedFiles {
  mkdirSync(root)
  let state = 0x2545f491
  const random = (): number => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 2 ** 32
  }
  const noise = Buffer.alloc(262_144, 'the quick brown fox jumps over the lazy dog; ')
  const names = Array.from({ length: count }, (_, i) => `file-${i.toString().padStart(7, '0')}`)
  for (const name of names) {
    const gauss = Math.sqrt(-2 * Math.log(random() || 1e-9)) * Math.cos(2 * Math.PI * random())
    writeFileSync(join(root, name), noise.subarray(0, Math.min(262_144, Math.floor(4096 * Math.exp(1.2 * gauss)))))
  }
  return describe(root, names)
}

export function makeLargeFile (root: string, bytes: number): ListedFiles {
  mkdirSync(root)
  const fd = openSync(join(root, 'large'), 'w')
  const words = new Uint32Array(262_144)
  let state = 0x9e3779b9
  for (let at = 0; at < bytes; at += words.byteLength) {
    for (let i = 0; i < words.length; i++) {
      state ^= state << 13
      state ^= state >>> 17
      state ^= state << 5
      words[i] = state
    }
    writeSync(fd, words)
  }
  closeSync(fd)
  return describe(root, ['large'])
}

function describe (root: string, names: readonly string[]): ListedFiles {
  const entries = names.map((name): FileEntry => {
    const { size, mtimeNs } = lstatSync(join(root, name), { bigint: true })
    return { kind: 'file', name: name as Name, sizeBytes: Number(size), mtimeNs, mode: 0o644, fileId: 0n }
  })
  const listing = encodeListing(entries)
  const bytes = entries.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  return {
    root,
    tree: {
      rootDigest: listingDigest(listing, hashBytes), files: entries.length, directories: 0, bytes,
      listing: directory => directory === '' ? listing : undefined,
    },
    tasks: entries.map((_, i) => [0, i] as const),
    sizes: entries.map(({ sizeBytes }) => sizeBytes),
  }
}
