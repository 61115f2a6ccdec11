import type { Name, Problem } from '@filesync/protocol'
import type { DirectoryNotes } from './directory-reading.ts'

/** Almost every directory has these. */
export const NO_NOTES: DirectoryNotes = { problems: [], problemCount: 0, complete: true, unsettled: [], ignored: 0 }

/** The notes of a directory that was read. */
export function notesOf (reading: DirectoryNotes): DirectoryNotes {
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
