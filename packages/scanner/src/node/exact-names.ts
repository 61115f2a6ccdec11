/**
 * Whether the names of a directory have one spelling each, judged by some of them. A directory in which letter case does not count accepts
 * a name in the other case too, and gives the same entry.
 *
 * @param identify what identifies the entry to which a name leads; undefined if there is none
 */
export function areExact (names: readonly string[], identify: (name: string) => string | undefined): boolean {
  let isProven = false
  let isCertain = true
  for (const name of names) {
    const other = inOtherCase(name)
    if (other === name) {
      // Without letters, only a name in ASCII has no other form.
      if (!isAscii(name)) isCertain = false
      continue
    }
    const entry = identify(name)
    if (entry === undefined) isCertain = false
    else if (identify(other) === entry) return false
    else isProven = true
  }
  return isProven || isCertain
}

function inOtherCase (name: string): string {
  const lower = name.toLowerCase()
  return lower === name ? name.toUpperCase() : lower
}

function isAscii (text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) >= 0x80) return false
  return true
}
