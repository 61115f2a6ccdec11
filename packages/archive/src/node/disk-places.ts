import type { Section } from '../store/section.ts'

/** Directories below the root. */
export const OWN = '.filesync'
export const STAGING: string = `${OWN}/staging`
export const PARTIAL: string = `${OWN}/partial`
export const VERSIONS: string = `${OWN}/versions`
/** What is known of each sync beyond its versions. */
export const HISTORY: string = `${OWN}/history`
export const INDEX: string = `${OWN}/index`

export function inside (directory: string, below: string): string {
  if (directory === '') return below
  return below === '' ? directory : `${directory}/${below}`
}

/** The parent directory of a path, and its last name. */
export function split (path: string): [directory: string, name: string] {
  const at = path.lastIndexOf('/')
  return [path.slice(0, Math.max(at, 0)), path.slice(at + 1)]
}

/** The name of a content in staging. */
export function stagedName (number: number): string {
  return number.toString(36)
}

/** The name of a marker beside a large file in staging, which contains the name that the file had as a partial. */
export function reclaimName (number: number, partial: string): string {
  return `=${stagedName(number)}.${partial}`
}

/** Parses such a name; undefined for any other. */
export function parseReclaimName (name: string): { readonly staged: string, readonly partial: string } | undefined {
  const [, staged, partial] = /^=([0-9a-z]+)\.(.+)$/.exec(name) ?? []
  return staged === undefined || partial === undefined ? undefined : { staged, partial }
}

/** The name of the folder in staging for the contents of one directory; no content has such a name. */
export function folderName (number: number): string {
  return `+${number.toString(36)}`
}

/** The directory in staging that holds the contents of a section. */
export function stagingOf (staging: string, { folder }: Pick<Section, 'folder'>): string {
  return folder === undefined ? `${STAGING}/${staging}` : `${STAGING}/${staging}/${folderName(folder)}`
}

/** The file in the history of an area that records its points. */
export const POINTS = 'points'

/** The name of a sync's file in the history of its area. */
export function logName (count: number): string {
  return `${String(count).padStart(10, '0')}.log`
}

/** The number of the sync in such a name; undefined for any other name. */
export function parseLogName (name: string): number | undefined {
  const [, count] = /^(\d{10,})\.log$/.exec(name) ?? []
  return count === undefined ? undefined : Number(count)
}
