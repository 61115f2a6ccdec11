import { randomBytes } from 'node:crypto'
import { errnoOf, FileSyncError, ROOT_PATH } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'
import type { RestoreOutcome, RestoreRequest } from '../content-store.ts'
import { Beneath, makeRoot, realPathOf } from './beneath.ts'
import { inside, OWN, split, stampName, VERSIONS } from './disk-places.ts'
import * as disk from './disk.ts'
import { isRestored, STAYS } from '../restored.ts'
import { fileTrouble } from './trouble.ts'
import { copyTo } from './whole-file.ts'

/** What is in the way of a directory. */
const BLOCKED = new Set(['ENOTDIR', 'ELOOP'])

/** Where something is brought back to. */
interface Target {
  readonly out: Beneath
  readonly overwrite: boolean
}

/** Copies files of mirrors and versions out of the archive. */
export class DiskRestore {
  readonly #beneath: Beneath

  constructor (beneath: Beneath) {
    this.#beneath = beneath
  }

  /** Throws USAGE where nothing can be written to the directory. */
  restore (area: string, { files, directories, to, overwrite = false }: RestoreRequest): RestoreOutcome {
    const out = openTarget(to, this.#beneath.root)
    const target = { out, overwrite }
    const failures: { path: string, message: string }[] = []
    let [count, bytes] = [0, 0]
    try {
      const made = [...directories].sort((a, b) => a.directory.length - b.directory.length).filter(({ directory }) => {
        out.trim()
        try {
          makeDirectory(target, directory)
          return directory !== ROOT_PATH
        } catch (error) {
          failures.push({ path: directory, message: fileTrouble(error) })
          return false
        }
      })
      for (const { path, version } of files) {
        this.#beneath.trim()
        out.trim()
        try {
          const from = version === undefined ? inside(area, path) : inside(inside(VERSIONS, `${area}/${stampName(version)}`), path)
          bytes += this.#copyOut(from, path, target)
          count++
        } catch (error) {
          failures.push({ path, message: fileTrouble(error) })
        }
      }
      for (const { directory, mtimeNs, mode } of made.reverse()) {
        disk.setMode(out.handle(directory), mode)
        disk.touch(out.handle(directory), mtimeNs)
      }
    } finally {
      out.close()
    }
    return { files: count, bytes, failures }
  }

  /** Returns the bytes of the file; those of one that stands there already, too, as after a restore that was interrupted. */
  #copyOut (from: string, path: RelativePath, target: Target): number {
    const [fromDirectory, fromName] = split(from)
    const fromPrefix = this.#beneath.open(fromDirectory)
    const [directory, name] = split(path)
    const prefix = makeDirectory(target, directory)
    const stat = disk.statAt(fromPrefix, fromName)
    const there = target.overwrite || stat === undefined ? undefined : disk.statAt(prefix, name)
    if (stat !== undefined && there !== undefined) {
      const isSame = stat.kind === 'symlink'
        ? there.kind === 'symlink' && disk.targetAt(prefix, name) === disk.targetAt(fromPrefix, fromName)
        : isRestored(stat, there)
      if (!isSame) throw new Error(STAYS)
      return stat.kind === 'file' ? stat.sizeBytes : 0
    }
    // A name that nobody has: what stands in the directory is somebody's.
    const temporary = `${OWN}-restoring-${randomBytes(6).toString('hex')}`
    if (stat?.kind === 'symlink') {
      disk.symlinkAt(prefix, temporary, disk.targetAt(fromPrefix, fromName))
      disk.touchLinkAt(prefix, temporary, stat.mtimeNs)
      putInPlace(prefix, temporary, name)
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
      } catch (error) {
        disk.unlinkAt(prefix, temporary)
        throw error
      } finally {
        disk.close(copy)
      }
      putInPlace(prefix, temporary, name)
      return sizeBytes
    } finally {
      disk.close(fd)
    }
  }
}

/** Opens the directory to restore to, which is made where it does not exist. Where it is in the archive, nothing is made. */
function openTarget (to: string, archive: string): Beneath {
  try {
    const real = realPathOf(to)
    if (real === archive || real.startsWith(`${archive}/`)) {
      throw new FileSyncError('USAGE', `${to} is in the archive: it would be restored into the archive itself. Name a directory outside of it.`)
    }
    makeRoot(real)
    return new Beneath(real)
  } catch (cause) {
    if (errnoOf(cause) === 'USAGE') throw cause
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new FileSyncError('USAGE', `Nothing can be restored to ${to}: ${why}. Name a directory that the server may write to.`, { cause })
  }
}

/** Opens a directory of the target. What is no directory is in its way, or gives way where all may be replaced. */
function makeDirectory ({ out, overwrite }: Target, directory: string): string {
  try {
    return out.open(directory, 'make')
  } catch (error) {
    if (!BLOCKED.has(errnoOf(error))) throw error
    if (!overwrite) throw new Error(STAYS, { cause: error })
    const [above, name] = split(directory)
    const prefix = makeDirectory({ out, overwrite }, above)
    if (disk.statAt(prefix, name)?.kind !== 'directory') disk.unlinkAt(prefix, name)
    return out.open(directory, 'make')
  }
}

function putInPlace (prefix: string, temporary: string, name: string): void {
  try {
    disk.renameAt(prefix, temporary, [prefix, name])
  } catch (error) {
    disk.unlinkAt(prefix, temporary)
    // A directory stands there, and what is in it is not thrown away for a file.
    throw ['EISDIR', 'ENOTEMPTY', 'EEXIST'].includes(errnoOf(error)) ? new Error(STAYS, { cause: error }) : error
  }
}
