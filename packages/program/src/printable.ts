// What a terminal obeys instead of showing, or shows as nothing: C0, DEL, C1, the controls of writing direction, invisible
// fillers and tags, line and paragraph separators, and halves of surrogate pairs. Joiners stay: scripts need them.
// eslint-disable-next-line no-control-regex -- control characters are what it looks for
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/gu

/**
 * Text from a file name or a peer, safe to show in a terminal or a log: whatever is not shown as itself becomes `\u{…}`.
 */
export function printable (text: string): string {
  return text.replace(UNPRINTABLE, character => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`)
}

/**
 * A value as one line of JSON with its line end. Reads back as the same value, and can be shown in a terminal: JSON by
 * itself leaves C1 controls and controls of writing direction as they are.
 */
export function jsonLine (value: unknown): string {
  return `${JSON.stringify(value).replace(UNPRINTABLE, escapeUnits)}\n`
}

function escapeUnits (character: string): string {
  return Array.from({ length: character.length }, (_, at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, '0')}`).join('')
}
