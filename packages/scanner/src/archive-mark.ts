/** Below `.filesync` in the root of an archive. */
export const ARCHIVE_ID_FILE = 'id'
/** It has a block of 4 KiB. */
export const ARCHIVE_ID_MAX_BYTES = 8192

const ID = /^[0-9a-f]{32}(?=\n)/u

/** The id of an archive from the text of that file; undefined where it is another file. */
export function archiveIdOf (text: string | undefined): string | undefined {
  return text === undefined ? undefined : ID.exec(text)?.[0]
}
