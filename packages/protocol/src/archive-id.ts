/** The file below the own folder of an archive that holds its id. */
export const ARCHIVE_ID_FILE = 'id'

const ID = /^[0-9a-f]{32}(?=\n)/u

/** The id of an archive from the text of that file, in 32 hexadecimal digits; undefined if it is another file. */
export function archiveIdOf (text: string): string | undefined {
  return ID.exec(text)?.[0]
}
