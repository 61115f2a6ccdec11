import type { ArchiveSettings } from '../archive.ts'

/** How an archive in a directory is opened. */
export interface ArchiveInit extends ArchiveSettings {
  /** The directory of the archive; created if it does not exist and no id is expected. */
  readonly root: string
  /** The id that the archive must have. By default any archive is opened, and any other directory becomes an archive. */
  readonly expectedId?: string
  /** Whether the directory must contain an archive already, of any id. */
  readonly mustExist?: boolean
  /** Whether to open the archive for reading if its file system is read-only. By default, that is an error. */
  readonly mayBeReadOnly?: boolean
  /** Whether the archive may be on a network file system; the operator must ensure that no other machine uses it. */
  readonly allowNetworkDisk?: boolean
}
