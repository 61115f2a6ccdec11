import type { Name, Problem } from '@filesync/protocol'
import type { ExcludedName, FoundMount, ListedDirectory, Unsettled } from './directory-reading.ts'
import type { LeftOutEntries } from './left-out.ts'

/** What is to be said about one directory beside its listing, without what is below it. */
export interface DirectoryNotes {
  readonly problems: readonly Problem[]
  readonly problemCount: number
  readonly leftOut?: LeftOutEntries
  readonly excluded?: readonly ExcludedName[]
  readonly mount?: FoundMount
  readonly complete: boolean
  readonly unsettled: readonly Unsettled[]
  /** The id of a FileSync archive, if the directory is the root of one. */
  readonly archiveId?: string
  /** Number of ignored names. */
  readonly ignored: number
  /** These names, unless they are too many. */
  readonly ignoredNames?: readonly string[]
}

/** Almost every directory has these. */
export const NO_NOTES: DirectoryNotes = { problems: [], problemCount: 0, complete: true, unsettled: [], ignored: 0 }

/** The notes of a directory that was read. */
export function notesOf (reading: Omit<ListedDirectory, 'status' | 'start' | 'end' | 'digestOffsets'>): DirectoryNotes {
  const { ignored, ignoredNames, problems, problemCount, complete, unsettled, archiveId, leftOut, excluded, mount } = reading
  const isUsual = ignored === 0 && problemCount === 0 && complete && unsettled.length === 0 && archiveId === undefined &&
    leftOut === undefined && excluded === undefined && mount === undefined
  if (isUsual) return NO_NOTES
  return {
    problems, problemCount, complete, unsettled, ignored,
    ...(ignoredNames !== undefined && { ignoredNames }),
    ...(archiveId !== undefined && { archiveId }),
    ...(leftOut !== undefined && { leftOut }),
    ...(excluded !== undefined && { excluded }),
    ...(mount !== undefined && { mount }),
  }
}

/** The notes of a directory in which something was found that could not be read. */
export function notesOfProblems (problems: readonly Problem[]): DirectoryNotes {
  return problems.length === 0 ? NO_NOTES : { ...NO_NOTES, problems, problemCount: problems.length, complete: false }
}

/** Whether nothing but ignored names is to be said, and all of those are known: single entries can then be replaced. */
export function hasOnlyNames (notes: DirectoryNotes): boolean {
  const { problemCount, complete, unsettled, archiveId, leftOut, excluded, mount, ignored, ignoredNames } = notes
  return problemCount === 0 && complete && unsettled.length === 0 && archiveId === undefined && leftOut === undefined &&
    excluded === undefined && mount === undefined && (ignoredNames?.length ?? 0) === ignored
}

/** The notes after some entries were looked at again. Only for notes that {@link hasOnlyNames} accepts. */
export function withIgnored (notes: DirectoryNotes, looked: ReadonlySet<Name>, ignoredNow: readonly string[]): DirectoryNotes {
  if (notes.ignored === 0 && ignoredNow.length === 0) return notes
  const ignoredNames = [...(notes.ignoredNames ?? []).filter(name => !looked.has(name as Name)), ...ignoredNow]
  return ignoredNames.length === 0 ? NO_NOTES : { ...NO_NOTES, ignored: ignoredNames.length, ignoredNames }
}
