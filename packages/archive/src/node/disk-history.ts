import { ROOT_PATH, toDigest } from '@filesync/protocol'
import type { Digest, RelativePath } from '@filesync/protocol'
import { createHasher } from '@filesync/protocol/node'
import type { FoundEntry, RestoreOutcome, RestoreRequest } from '../content-store.ts'
import { Beneath, makeRoot } from './beneath.ts'
import { inside, OWN, parseReclaimName, PARTIAL, split, STAGING, stampName, VERSIONS } from './disk-places.ts'
import { hashTo } from './disk-staging.ts'
import * as disk from './disk.ts'
import { errnoOf } from './errno.ts'
import { fileTrouble, throwIfStoreTrouble } from './trouble.ts'

const COPY_BYTES = 1 << 20
const PARTIAL_MODE = 0o600

/** Reads what the store holds, and looks after versions. */
export class DiskHistory {
  readonly #beneath: Beneath

  constructor (beneath: Beneath) {
    this.#beneath = beneath
  }

  list (area: string, directory: RelativePath): FoundEntry[] {
    this.#beneath.trim()
    const prefix = this.#beneath.open(inside(area, directory))
    return disk.namesIn(prefix).flatMap(name => describeAt(prefix, name) ?? [])
  }

  find (area: string, directory: RelativePath, names: readonly string[]): (FoundEntry | undefined)[] {
    this.#beneath.trim()
    return names.map(name => {
      try {
        return describeAt(this.#beneath.open(inside(area, directory)), name)
      } catch (error) {
        throwIfStoreTrouble(error)
        return undefined
      }
    })
  }

  digests (area: string, directory: RelativePath, names: readonly string[]): (Digest | undefined)[] {
    this.#beneath.trim()
    return names.map(name => {
      try {
        const fd = disk.readAt(this.#beneath.open(inside(area, directory)), name)
        try {
          const hasher = createHasher()
          hashTo(fd, hasher)
          return toDigest(hasher.digest())
        } finally {
          disk.close(fd)
        }
      } catch (error) {
        // A sector that cannot be read is what verifying looks for; anything else about the disk ends it.
        if (errnoOf(error) !== 'EIO') throwIfStoreTrouble(error)
        return undefined
      }
    })
  }

  partials (area: string): Map<string, number> {
    const prefix = this.#beneath.open(inside(PARTIAL, area), 'make')
    return new Map(disk.namesIn(prefix).map(name => [name, disk.statAt(prefix, name)?.sizeBytes ?? 0]))
  }

  keepPartials (area: string, kept: ReadonlySet<string>): void {
    const prefix = this.#beneath.open(inside(PARTIAL, area), 'make')
    for (const name of disk.namesIn(prefix)) if (!kept.has(name)) disk.unlinkAt(prefix, name)
  }

  reclaim (area: string, staging: string): void {
    if (disk.statAt(this.#beneath.open(STAGING, 'make'), staging) === undefined) return
    const from = this.#beneath.open(inside(STAGING, staging))
    const to = this.#beneath.open(inside(PARTIAL, area), 'make')
    for (const name of disk.namesIn(from)) {
      const found = parseReclaimName(name)
      if (found === undefined || !disk.existsAt(from, found.staged)) continue
      const fd = disk.readAt(from, found.staged)
      try {
        // It has the mode of the original, which may not be written.
        disk.setMode(fd, PARTIAL_MODE)
      } finally {
        disk.close(fd)
      }
      disk.renameAt(from, found.staged, [to, found.partial])
    }
  }

  discard (staging: string | undefined): void {
    const prefix = this.#beneath.open(STAGING, 'make')
    for (const name of disk.namesIn(prefix)) if (staging === undefined || name === staging) this.#removeTree(STAGING, name)
    this.#beneath.forget()
  }

  restore (area: string, { files, directories, to }: RestoreRequest): RestoreOutcome {
    makeRoot(to)
    const out = new Beneath(to)
    const failures: { path: string, message: string }[] = []
    let [count, bytes] = [0, 0]
    try {
      if (out.root === this.#beneath.root || out.root.startsWith(`${this.#beneath.root}/`)) throw new Error('it would be restored into the archive itself')
      for (const { directory } of directories) {
        out.trim()
        if (directory !== ROOT_PATH) out.open(directory, 'make')
      }
      for (const { path, version } of files) {
        this.#beneath.trim()
        out.trim()
        try {
          const from = version === undefined ? inside(area, path) : inside(inside(VERSIONS, `${area}/${stampName(version)}`), path)
          bytes += this.#copyOut(from, out, path)
          count++
        } catch (error) {
          failures.push({ path, message: fileTrouble(error) })
        }
      }
      for (const { directory, mtimeNs, mode } of [...directories].sort((a, b) => b.directory.length - a.directory.length)) {
        if (directory === ROOT_PATH) continue
        disk.setMode(out.handle(directory), mode)
        disk.touch(out.handle(directory), mtimeNs)
      }
    } finally {
      out.close()
    }
    return { files: count, bytes, failures }
  }

  #copyOut (from: string, out: Beneath, path: RelativePath): number {
    const [fromDirectory, fromName] = split(from)
    const fromPrefix = this.#beneath.open(fromDirectory)
    const [directory, name] = split(path)
    const prefix = out.open(directory, 'make')
    const stat = disk.statAt(fromPrefix, fromName)
    const temporary = `${OWN}-restoring`
    if (disk.existsAt(prefix, temporary)) disk.unlinkAt(prefix, temporary)
    if (stat?.kind === 'symlink') {
      disk.symlinkAt(prefix, temporary, disk.targetAt(fromPrefix, fromName))
      disk.touchLinkAt(prefix, temporary, stat.mtimeNs)
      disk.renameAt(prefix, temporary, [prefix, name])
      return 0
    }
    const fd = disk.readAt(fromPrefix, fromName)
    const { mode, mtimeNs, sizeBytes } = disk.statOf(fd)
    const copy = disk.createAt(prefix, temporary, 0o600)
    try {
      const buffer = new Uint8Array(COPY_BYTES)
      for (let position = 0; ;) {
        const read = disk.readInto(fd, buffer, position)
        if (read === 0) break
        disk.writeAll(copy, buffer.subarray(0, read), position)
        position += read
      }
      disk.setMode(copy, mode)
      disk.touch(copy, mtimeNs)
      disk.syncFile(copy)
    } finally {
      disk.close(copy)
      disk.close(fd)
    }
    disk.renameAt(prefix, temporary, [prefix, name])
    return sizeBytes
  }

  #removeTree (directory: string, name: string): void {
    this.#beneath.trim()
    const prefix = this.#beneath.open(directory)
    if (disk.statAt(prefix, name)?.kind !== 'directory') {
      disk.unlinkAt(prefix, name)
      return
    }
    for (const child of disk.namesIn(this.#beneath.open(inside(directory, name)))) this.#removeTree(inside(directory, name), child)
    disk.removeDirectoryAt(this.#beneath.open(directory), name)
  }

}

function describeAt (prefix: string, name: string): FoundEntry | undefined {
  const stat = disk.statAt(prefix, name)
  if (stat === undefined) return undefined
  const target = stat.kind === 'symlink' ? disk.targetAt(prefix, name) : ''
  return { name, kind: stat.kind, sizeBytes: stat.sizeBytes, mtimeNs: stat.mtimeNs, mode: stat.mode, target }
}
