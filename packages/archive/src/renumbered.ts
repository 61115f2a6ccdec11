import type { Comparison } from './comparison.ts'

/** Reading as much of the client's disk is a matter of a second or two. */
const LITTLE_BYTES = 2 ** 28

/**
 * Has the content of files looked at which have the size and time of what is stored, but are other files: unpacked from
 * another package, restored, or exchanged with each other. Where they were exchanged they are found to move; of the others
 * the digest is asked for.
 *
 * Some file systems (FAT, many in user space) number all files anew at each mount, and reading a whole disk for that is
 * out of proportion. So it is done where the files are little, or no more than the entries beside them that kept theirs.
 */
export function doubtRenumbered (comparison: Comparison): void {
  const { renumbered, steady } = comparison
  const bytes = renumbered.reduce((sum, { entry }) => sum + entry.sizeBytes, 0)
  if (renumbered.length === 0 || (bytes > LITTLE_BYTES && renumbered.length > steady)) return
  comparison.wantedBytes += bytes
  for (const one of renumbered) comparison.displaced.push(one)
  for (const directory of comparison.directories) {
    if (directory.renumbered.length > 0) directory.doubt(directory.renumbered)
  }
}
