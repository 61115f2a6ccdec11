// C0, DEL, C1, the bidirectional controls, and halves of surrogate pairs: what a terminal obeys instead of showing.
// eslint-disable-next-line no-control-regex -- control characters are what it looks for
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/gu

/**
 * Text from a file name or a peer, safe to show in a terminal or a log: whatever is not shown as itself becomes `\u{…}`.
 */
export function printable (text: string): string {
  return text.replace(UNPRINTABLE, character => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`)
}
