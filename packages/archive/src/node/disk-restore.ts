import { ROOT_PATH } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'
import type { RestoreOutcome, RestoreRequest } from '../content-store.ts'
import { Beneath, makeRoot } from './beneath.ts'
import { inside, OWN, split, stampName, VERSIONS } from './disk-places.ts'
import * as disk from './disk.ts'
import { isRestored, STAYS } from '../restored.ts'
import { fileTrouble } from './trouble.ts'
import { copyTo } from './whole-file.ts'

/** Copies files of mirrors and versions out of the archive. */
export class DiskRestore {
  readonly #beneath: Beneath

  constructor (beneath: Beneath) {
    this.#beneath = beneath
  }

  restore (area: string, { files, directories, to, overwrite = false }: RestoreRequest): RestoreOutcome {
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
          bytes += this.#copyOut(from, { out, path, overwrite })
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

  /** Returns the bytes of the file; those of one that stands there already, too, as after a restore that was interrupted. */
  #copyOut (from: string, { out, path, overwrite }: { readonly out: Beneath, readonly path: RelativePath, readonly overwrite: boolean }): number {
    const [fromDirectory, fromName] = split(from)
    const fromPrefix = this.#beneath.open(fromDirectory)
    const [directory, name] = split(path)
    const prefix = out.open(directory, 'make')
    const stat = disk.statAt(fromPrefix, fromName)
    const there = overwrite || stat === undefined ? undefined : disk.statAt(prefix, name)
    if (stat !== undefined && there !== undefined) {
      const isSame = stat.kind === 'symlink'
        ? there.kind === 'symlink' && disk.targetAt(prefix, name) === disk.targetAt(fromPrefix, fromName)
        : isRestored(stat, there)
      if (!isSame) throw new Error(STAYS)
      return stat.kind === 'file' ? stat.sizeBytes : 0
    }
    const temporary = `${OWN}-restoring`
    if (disk.existsAt(prefix, temporary)) disk.unlinkAt(prefix, temporary)
    if (stat?.kind === 'symlink') {
      disk.symlinkAt(prefix, temporary, disk.targetAt(fromPrefix, fromName))
      disk.touchLinkAt(prefix, temporary, stat.mtimeNs)
      disk.renameAt(prefix, temporary, [prefix, name])
      return 0
    }
    const fd = disk.readAt(fromPrefix, fromName)
    try {
      const { mode, mtimeNs, sizeBytes } = disk.statOf(fd)
      const copy = disk.createAt(prefix, temporary, 0o600)
      try {
        copyTo(fd, copy)
        disk.setMode(copy, mode)
        disk.touch(copy, mtimeNs)
        disk.syncFile(copy)
      } finally {
        disk.close(copy)
      }
      disk.renameAt(prefix, temporary, [prefix, name])
      return sizeBytes
    } finally {
      disk.close(fd)
    }
  }
}
