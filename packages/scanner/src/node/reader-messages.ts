import type { Name, RelativePath } from '@filesync/protocol'
import type { DirectoryGone, DirectoryId, DirectoryUnreadable, LinkPolicy, ListedDirectory, NamedEntries } from '../directory-reading.ts'
import type { RuleFile } from '../ignore-rules.ts'
import type { ReadingColumns } from './reading-columns.ts'

export interface ReaderData {
  readonly byDescriptor: boolean
}

/** Defines a chain of rules under its id. */
export interface RuleDefinition {
  readonly id: number
  readonly parentId: number | undefined
  readonly file: RuleFile | undefined
}

/** The entries of a directory to look at, with the id of the rules for them. */
interface NamedCall extends Omit<NamedEntries, 'rules'> {
  readonly rulesId: number
}

export interface ReadCall {
  readonly type: 'read'
  readonly id: number
  /** Absolute path of the root that the directories are in. */
  readonly root: string
  readonly rules: readonly RuleDefinition[]
  readonly directories: readonly RelativePath[]
  readonly rulesIds: readonly number[]
  readonly nowMs: number
  readonly settleMs: number
  readonly links: LinkPolicy
  readonly excluded: readonly DirectoryId[]
  /** The only entries to look at, by index of the directory. */
  readonly named: ReadonlyMap<number, NamedCall>
  /** Names that are not looked at, by index of the directory. */
  readonly omitted: ReadonlyMap<number, readonly Name[]>
  /** Indexes of the directories whose readings must have `mount`. */
  readonly marked: readonly number[]
}

export type ToReader = ReadCall | { readonly type: 'release', readonly root: string }

export type PackedReading = ListedDirectory | DirectoryGone | DirectoryUnreadable

export type FromReader =
  /** All listings are in one block, which is transferred instead of copied. */
  | { readonly id: number, readonly block: Uint8Array<ArrayBuffer>, readonly columns: ReadingColumns }
  | { readonly id: number, readonly error: unknown }
