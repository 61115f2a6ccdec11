import type { Section } from '../store/section.ts'

/** Where things lie below the root. */
export const OWN = '.filesync'
export const STAGING: string = `${OWN}/staging`
export const PARTIAL: string = `${OWN}/partial`
export const VERSIONS: string = `${OWN}/versions`
/** What of each sync is remembered that its versions do not tell. */
export const HISTORY: string = `${OWN}/history`
export const INDEX: string = `${OWN}/index`

export function inside (directory: string, below: string): string {
  if (directory === '') return below
  return below === '' ? directory : `${directory}/${below}`
}

/** The directory that a path lies in, and its last name. */
export function split (path: string): [directory: string, name: string] {
  const at = path.lastIndexOf('/')
  return [path.slice(0, Math.max(at, 0)), path.slice(at + 1)]
}

/** The name of a content in staging. */
export function stagedName (number: number): string {
  return number.toString(36)
}

/** Stands beside a large file in staging and tells the name that it had while it was unfinished. */
export function reclaimName (number: number, partial: string): string {
  return `=${stagedName(number)}.${partial}`
}

/** What such a name tells, or undefined where it is none. */
export function parseReclaimName (name: string): { readonly staged: string, readonly partial: string } | undefined {
  const [, staged, partial] = /^=([0-9a-z]+)\.(.+)$/.exec(name) ?? []
  return staged === undefined || partial === undefined ? undefined : { staged, partial }
}

/** The folder in staging with the contents of one directory; no content is named like that. */
export function folderName (number: number): string {
  return `+${number.toString(36)}`
}

/** The directory in staging where the contents of a section lie. */
export function stagingOf (staging: string, { folder }: Pick<Section, 'folder'>): string {
  return folder === undefined ? `${STAGING}/${staging}` : `${STAGING}/${staging}/${folderName(folder)}`
}

/** The name of what one sync put away in the history of its area. */
export function logName (count: number): string {
  return `${String(count).padStart(10, '0')}.log`
}

/** The number of the sync that such a name tells, or undefined if it is none. */
export function parseLogName (name: string): number | undefined {
  const [, count] = /^(\d{10,})\.log$/.exec(name) ?? []
  return count === undefined ? undefined : Number(count)
}
