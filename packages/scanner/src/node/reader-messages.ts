import type { RelativePath } from '@filesync/protocol'
import type { DirectoryGone, DirectoryUnreadable, ListedDirectory } from '../directory-reading.ts'
import type { RuleFile } from '../ignore-rules.ts'

export interface ReaderData {
  readonly root: string
  readonly byDescriptor: boolean
}

/** Makes a chain of rules known under its number. */
export interface RuleDefinition {
  readonly id: number
  readonly parentId: number | undefined
  readonly file: RuleFile | undefined
}

export interface ReadCall {
  readonly type: 'read'
  readonly id: number
  readonly rules: readonly RuleDefinition[]
  readonly directories: readonly RelativePath[]
  readonly rulesIds: readonly number[]
  readonly nowMs: number
  readonly settleMs: number
}

export type ToReader = ReadCall | { readonly type: 'rest' }

export type PackedReading = ListedDirectory | DirectoryGone | DirectoryUnreadable

export type FromReader =
  /** All listings lie in the one block, which is transferred rather than copied. */
  | { readonly id: number, readonly block: Uint8Array<ArrayBuffer>, readonly readings: readonly PackedReading[] }
  | { readonly id: number, readonly error: unknown }
