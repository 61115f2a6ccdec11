import type { Comparison } from './comparison.ts'

/**
 * Wants files that have the size and time of the stored ones, but another file id: they may have been unpacked from another package,
 * restored, or swapped with each other. Swapped ones are then found to move; for the others the digest is asked for, which costs the
 * client a read and no transfer.
 */
export function recheckRenumbered (comparison: Comparison): void {
  const { renumbered } = comparison
  if (renumbered.length === 0) return
  comparison.wantedBytes += renumbered.reduce((sum, { entry }) => sum + entry.sizeBytes, 0)
  for (const one of renumbered) comparison.displaced.push(one)
  for (const directory of comparison.directories) if (directory.hasSpecialRoles) directory.recheck()
}
