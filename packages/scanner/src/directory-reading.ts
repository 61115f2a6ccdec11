import type { Name, Problem, RelativePath, WrittenListing } from '@filesync/protocol'
import type { LeftOutEntries } from './left-out.ts'
import type { NodeId } from './directory-node.ts'
import type { RuleSet } from './rule-set.ts'
import type { RootMark } from './source-root.ts'

/** A file that was written to recently. */
export interface Unsettled {
  readonly name: Name
  /** How long it must remain unchanged to count as settled. */
  readonly settlesInMs: number
}

/** Identifies a directory among all that exist at the same time. */
export interface DirectoryId {
  readonly device: bigint
  readonly inode: bigint
}

/** The directory to which a path leads, for mount points. */
export interface FoundMount {
  readonly mark: RootMark
  /** Whether it is on another device than the directory above. */
  readonly entersDevice: boolean
  /** Whether its file system keeps the inode number of a file as long as the file exists. */
  readonly hasStableInodes: boolean
}

/** What is done with symbolic links that lead out of the source: they are listed as they are, or left out. */
export type LinkPolicy = 'keep' | 'refuse'

/** One directory to read. */
export interface ReadRequest {
  readonly directory: RelativePath
  /** The rules of the directories above; an ignore file in the directory adds to them. */
  readonly rules: RuleSet
  readonly settleMs: number
  readonly nowMs: number
  /** Whether links that lead out of the source are listed as they are or left out. */
  readonly links: LinkPolicy
  /** Directories that are not listed, wherever they are. */
  readonly excluded: readonly DirectoryId[]
  /** Names in the directory that are not looked at. */
  readonly omitted?: readonly Name[]
  /** Whether the reading must have `mount` even on the device of the directory above. */
  readonly isMarked?: boolean
  /**
   * The only entries to look at. The reader still reads the whole directory if the result could differ from that.
   */
  readonly named?: NamedEntries
}

/** The entries of a known directory to look at. */
export interface NamedEntries {
  /** In canonical order. */
  readonly names: readonly Name[]
  /** Some names that are listed, to find out whether letter case counts. */
  readonly known: readonly Name[]
  /** The rules for the entries of the directory, those of its own ignore file included. */
  readonly rules: RuleSet
  /** The id of the directory; undefined for the root, which has none. */
  readonly id: NodeId | undefined
}

/** The name under which an excluded directory was found. */
export interface ExcludedName {
  readonly name: Name
  /** Index of the directory in `ReadRequest.excluded`. */
  readonly index: number
}

/** What is to be said about one directory beside its listing, without what is below it. */
export interface DirectoryNotes {
  /** Number of ignored names. */
  readonly ignored: number
  /** The ignored names, if there are some, and they are not too many. */
  readonly ignoredNames?: readonly string[]
  /** The first problems, as many as a `ProblemList` keeps; `problemCount` is exact. */
  readonly problems: readonly Problem[]
  readonly problemCount: number
  /** What was left out by its nature; absent if nothing was. */
  readonly leftOut?: LeftOutEntries
  /** Names of excluded directories, each with its index among those of the request; absent if there is none. */
  readonly excluded?: readonly ExcludedName[]
  /** Present on another device than that of the directory above, and on request. */
  readonly mount?: FoundMount
  /** Whether the listing has every entry that no rule ignores. */
  readonly complete: boolean
  readonly unsettled: readonly Unsettled[]
  /** The id of a FileSync archive, if the directory is the root of one. */
  readonly archiveId?: string | undefined
}

/** The content of one directory, whose listing is in a block of many. */
export interface ListedDirectory extends WrittenListing, DirectoryNotes {
  readonly status: 'read'
  /** Names and file ids of the subdirectories, in the order of `digestOffsets`. */
  readonly childNames: readonly Name[]
  /** Two numbers each: the low and the high half. */
  readonly childIds: Int32Array
  readonly files: number
  readonly bytes: number
  /** Present if only the names of the request were looked at; the listing has nothing else then. */
  readonly isOfNames?: boolean
  /** The text of the directory's ignore file. */
  readonly ruleText: string | undefined
}

/** The content of one directory. */
export interface DirectoryContents extends ListedDirectory {
  /** Holds the encoded listing from `start` to `end`. */
  readonly block: Uint8Array
}

/** The directory is gone, or something else has its name. */
export interface DirectoryGone { readonly status: 'gone' }
/** The directory exists but cannot be read. */
export interface DirectoryUnreadable { readonly status: 'unreadable', readonly why: string }

export type DirectoryReading = DirectoryContents | DirectoryGone | DirectoryUnreadable

/** Reads directories: the port between the walk and the threads that touch the disk. */
export interface DirectoryReader {
  /** Number of concurrent batches that keep it busy. */
  readonly parallel: number
  /** Readings in the order of the requests. Rejects only if no directory can be read at all. */
  read (batch: readonly ReadRequest[]): Promise<readonly DirectoryReading[]>
  /** Keeps the process alive during a scan, until the returned function is called. */
  hold (): () => void
  /** Closes all open directories until the next read: an open directory keeps its disk from being unmounted. */
  releaseHandles (): void
}
