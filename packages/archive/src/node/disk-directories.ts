import { errnoOf, splitPath } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'
import type { Beneath } from './beneath.ts'
import * as disk from './disk.ts'
import type { Stat } from './disk.ts'

/**
 * Errors of systems that cannot flush a directory. Windows flushes files only, and NTFS writes renames to its own journal. FAT and
 * some file systems in user space report EINVAL.
 */
const NO_DIRECTORY_FLUSH = new Set(['EPERM', 'EISDIR', 'EACCES', 'EBADF', 'EINVAL'])

/** Describes a directory. Throws the errno of the first component that is not a directory. */
export function directoryStat (beneath: Beneath, directory: string): Stat {
  if (beneath.holds || directory === '') return disk.statOf(beneath.handle(directory))
  const stat = disk.statAt(...placeOf(beneath, directory))
  if (stat === undefined) throw Object.assign(new Error(`ENOENT: no such directory, '${directory}'`), { code: 'ENOENT' })
  return stat
}

/**
 * Sets the mode and time of a directory. By name if no handles are held: Windows sets neither through a handle, and an open handle
 * prevents the directories above it from being renamed.
 */
export function setDirectory (
  beneath: Beneath, directory: string, { mode, mtimeNs }: { readonly mode: number, readonly mtimeNs: bigint },
): void {
  if (beneath.holds) {
    const fd = beneath.handle(directory)
    disk.setMode(fd, mode)
    disk.touch(fd, mtimeNs)
    return
  }
  const place = placeOf(beneath, directory)
  disk.setModeAt(...place, mode)
  disk.touchLinkAt(...place, mtimeNs)
}

/** As {@link setDirectory}, without the time. */
export function setDirectoryMode (beneath: Beneath, directory: string, mode: number): void {
  if (beneath.holds) disk.setMode(beneath.handle(directory), mode)
  else disk.setModeAt(...placeOf(beneath, directory), mode)
}

/** Flushes the names in a directory to stable storage, if the system can do that. */
export function flushDirectory (beneath: Beneath, directory: string): void {
  try {
    if (beneath.holds) disk.syncFile(beneath.handle(directory))
    else disk.syncDirectoryAt(beneath.open(directory))
  } catch (error) {
    if (!NO_DIRECTORY_FLUSH.has(errnoOf(error))) throw error
  }
}

/** The place of a directory's name. Throws the errno of the first component, itself included, that is not a directory. */
function placeOf (beneath: Beneath, directory: string): readonly [prefix: string, name: string] {
  beneath.open(directory)
  const { directory: above, name } = splitPath(directory as RelativePath)
  return [beneath.open(above), name]
}
