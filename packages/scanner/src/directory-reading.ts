import type { Name, Problem, RelativePath, WrittenListing } from '@filesync/protocol'
import type { RuleSet } from './rule-set.ts'

/** A file that was changed a moment ago. */
export interface Unsettled {
  readonly name: Name
  /** How long it still has to stay as it is. */
  readonly settlesInMs: number
}

/** What is to be read. */
export interface ReadRequest {
  readonly directory: RelativePath
  /** The rules that apply to the directory itself; those in it come on top. */
  readonly rules: RuleSet
  readonly settleMs: number
  readonly nowMs: number
}

/** What one directory holds, with its listing in a block of many. */
export interface ListedDirectory extends WrittenListing {
  readonly status: 'read'
  /** Beside `digestOffsets`, the names and file ids of the subdirectories. */
  readonly childNames: readonly Name[]
  readonly childIds: readonly bigint[]
  readonly files: number
  readonly bytes: number
  readonly ignored: number
  /** As many as a `ProblemList` keeps; `problemCount` is exact. */
  readonly problems: readonly Problem[]
  readonly problemCount: number
  /** Whether the listing has every entry that the rules want in it. */
  readonly complete: boolean
  readonly unsettled: readonly Unsettled[]
  /** The id of the archive of a FileSync server, if it is the root of one. */
  readonly archiveId: string | undefined
  /** The text of an ignore file in it. */
  readonly ruleText: string | undefined
}

/** What one directory holds. */
export interface DirectoryContents extends ListedDirectory {
  /** The encoded listing is this from `start` to `end`. */
  readonly block: Uint8Array
}

/** Gone, or no directory any more. */
export interface DirectoryGone { readonly status: 'gone' }
/** There, but it does not let itself be read. */
export interface DirectoryUnreadable { readonly status: 'unreadable', readonly why: string }

export type DirectoryReading = DirectoryContents | DirectoryGone | DirectoryUnreadable

/** Reads directories; the port between the walk and the threads that touch the disk. */
export interface DirectoryReader {
  /** How many batches at once keep it busy. */
  readonly parallel: number
  /** Readings in the order of the requests. Rejects only when reading as such is impossible. */
  read (batch: readonly ReadRequest[]): Promise<readonly DirectoryReading[]>
  /** Says that a scan is under way, so that the process does not end in the middle of it. The result takes it back. */
  stay (): () => void
  /** Lets go of everything that is held open, until the next read: a held directory keeps its disk from being unmounted. */
  rest (): void
}
