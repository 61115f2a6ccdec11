// What a terminal obeys instead of showing, or shows as nothing: C0, DEL, C1, the controls of writing direction, invisible
// fillers and tags, line and paragraph separators. Joiners stay: some scripts need them.
// eslint-disable-next-line no-control-regex -- control characters are what it looks for
const OBEYED = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/u
const LONE_SURROGATE = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/u
const UNPRINTABLE = new RegExp(`${OBEYED.source}|${LONE_SURROGATE.source}`, 'gu')

/**
 * Text from a file name or a peer, safe to show in a terminal or a log: anything that is not shown as itself becomes `\u{…}`.
 */
export function printable (text: string): string {
  return text.replace(UNPRINTABLE, character => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`)
}

/**
 * A value as one line of JSON, including the line end. It parses to the same value and is safe to show in a terminal: JSON
 * alone does not escape C1 controls and controls of writing direction.
 */
export function jsonLine (value: unknown): string {
  return `${JSON.stringify(value).replace(UNPRINTABLE, escapeUnits)}\n`
}

function escapeUnits (character: string): string {
  return Array.from({ length: character.length }, (_, at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, '0')}`).join('')
}
