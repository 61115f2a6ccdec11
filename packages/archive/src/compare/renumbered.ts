import type { Comparison } from './comparison.ts'

/**
 * Has the content of files looked at which have the size and time of what is stored, but are other files: unpacked from
 * another package, restored, or exchanged with each other. Where they were exchanged they are found to move; of the others
 * the digest is asked for, which costs the client a read and no transfer.
 */
export function recheckRenumbered (comparison: Comparison): void {
  const { renumbered } = comparison
  if (renumbered.length === 0) return
  comparison.wantedBytes += renumbered.reduce((sum, { entry }) => sum + entry.sizeBytes, 0)
  for (const one of renumbered) comparison.displaced.push(one)
  for (const directory of comparison.directories) {
    if (directory.renumbered.length > 0) directory.recheck(directory.renumbered)
  }
}
