import type { Section } from '../section.ts'

/** Where things lie below the root. */
export const OWN = '.filesync'
export const STAGING: string = `${OWN}/staging`
export const PARTIAL: string = `${OWN}/partial`
export const VERSIONS: string = `${OWN}/versions`
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

/** The folder in versions for one sync: readable, sortable, and a name on every file system. */
export function stampName (stampMs: number): string {
  return new Date(stampMs).toISOString().replaceAll(':', '.')
}

/** The moment that a folder in versions names, or undefined where it is none. */
export function parseStamp (name: string): number | undefined {
  const match = /^(\d{4}-\d\d-\d\dT\d\d)\.(\d\d)\.(\d\d\.\d{3}Z)$/.exec(name)
  if (match === null) return undefined
  const stampMs = Date.parse(`${match[1] ?? ''}:${match[2] ?? ''}:${match[3] ?? ''}`)
  return Number.isNaN(stampMs) ? undefined : stampMs
}
