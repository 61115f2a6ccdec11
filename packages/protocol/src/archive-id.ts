/** The file in the `.filesync` directory of an archive that contains its id. */
export const ARCHIVE_ID_FILE = 'id'

const ID = /^[0-9a-f]{32}(?=\n)/u

/** Parses the content of that file: the archive id in 32 hexadecimal digits, or undefined if it has another form. */
export function archiveIdOf (text: string): string | undefined {
  return ID.exec(text)?.[0]
}
