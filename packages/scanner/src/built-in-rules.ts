/**
 * What programs and file systems leave lying about for a moment or for themselves alone, in gitignore syntax. Backups that
 * a person may want back (`*~`, `*.bak`) are not among it.
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
 * Whether a name may match one of the rules above. The library that decides takes microseconds a name; this takes a
 * fraction of one, and is asked first while there are no rules but the built-in ones.
 */
export function mayMatchBuiltIn (name: string): boolean {
  // Almost every name is out by its first letter and its last one.
  if (!FIRST_LETTERS.includes(name.charAt(0)) && !name.endsWith('d')) return false
  return /^(?:[.~#$]|4913$|Thumbs\.db$|ehthumbs\.db$|System Volume|lost\+found)|\.crdownload$/u.test(name)
}
