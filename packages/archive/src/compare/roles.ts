import { ENTRY_KINDS } from '@filesync/protocol'
import type { EntryKindNumber } from '../store/listing-cursor.ts'

/** What a sync does with an entry that differs; the bits of one byte. */
export const ROLES = {
  /** A file whose content is wanted. */
  wanted: 1,
  /** A directory, a link, or a file that differs only in metadata. */
  structure: 2,
  /** A wanted file whose stored copy may have the content already. */
  alike: 4,
  /** In the structure: a file with the same size and time as the stored one, but another file id. */
  renumbered: 8,
  /** In the structure: a link that is recorded only in the index. */
  indexOnly: 16,
} as const

export type Role = keyof typeof ROLES

/** The roles of an entry that the store does not have. */
export function rolesOfNew (kind: EntryKindNumber, holdsLinks: boolean): number {
  if (kind === ENTRY_KINDS.file) return ROLES.wanted
  return kind === ENTRY_KINDS.symlink && !holdsLinks ? ROLES.structure | ROLES.indexOnly : ROLES.structure
}
