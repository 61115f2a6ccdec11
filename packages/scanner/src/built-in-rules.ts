/**
 * Temporary and private files of programs and file systems, in gitignore syntax. Backups that a person may want back (`*~`,
 * `*.bak`) are not among them.
 */
export const BUILT_IN_RULES = `\
.*.sw[a-p]
4913
.#*
\\#*#
~$*
.~lock.*#
.goutputstream-*
*.crdownload
.nfs[0-9a-f]*
.fuse_hidden*
.DS_Store
Thumbs.db
ehthumbs.db
.Trash-[0-9]*/
.Trashes/
.Spotlight-V100/
.fseventsd/
.TemporaryItems/
System Volume Information/
$RECYCLE.BIN/
/lost+found/
`

const FIRST_LETTERS = '.~#$4TeSl'

/**
 * Whether a name may match one of the rules above. The matching library takes microseconds per name; this takes a fraction
 * of one, and filters the names if there are only built-in rules.
 */
export function mayMatchBuiltIn (name: string): boolean {
  // The first and the last letter rule out almost every name.
  if (!FIRST_LETTERS.includes(name.charAt(0)) && !name.endsWith('d')) return false
  return /^(?:[.~#$]|4913$|Thumbs\.db$|ehthumbs\.db$|System Volume|lost\+found)|\.crdownload$/u.test(name)
}
