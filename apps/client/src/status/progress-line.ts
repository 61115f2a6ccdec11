import { formatDuration, printable } from '@filesync/program'
import { formatSize } from '@filesync/protocol'
import type { TransferProgress } from '@filesync/transfer'

/** The current state of a run, in one line that may change many times a second. */
export interface ProgressLine {
  /** Shows this text in place of the last one. */
  show (text: string): void
  /** Leaves the line empty, for what is printed next. */
  clear (): void
}

/** A line that rewrites itself on a terminal, and shows nothing elsewhere: a log of percentages helps nobody. */
export function createProgressLine (stream: NodeJS.WriteStream, quiet: boolean): ProgressLine {
  if (!stream.isTTY || quiet) return { show () { /* nobody looks */ }, clear () { /* nothing is shown */ } }
  let shown = false
  return {
    show (text) {
      const room = Math.max(20, stream.columns - 1)
      stream.write(`\r\u001b[2K${fitColumns(text, room)}`)
      shown = true
    },
    clear () {
      if (shown) stream.write('\r\u001b[2K')
      shown = false
    },
  }
}

const WIDE = /^[\p{Script=Han}\p{Script=Hangul}\p{Script=Hiragana}\p{Script=Katakana}\p{Emoji_Presentation}\u3000-\u303f\uff01-\uff60]/u

/** As much of a text as fits: a line that wraps could not be taken back. Marks join what they mark, and count as nothing. */
function fitColumns (text: string, room: number): string {
  let columns = 0
  let fitting = 0
  for (const character of text) {
    columns += WIDE.test(character) ? 2 : /^\p{Mark}/u.test(character) ? 0 : 1
    if (columns > room) return `${text.slice(0, fitting)}…`
    if (columns < room) fitting += character.length
  }
  return text
}

/** How far a transfer is, in words. */
export function describeProgress (progress: TransferProgress): string {
  const of = progress.isTotalKnown ? '' : '+'
  const parts = [
    `${progress.files}/${progress.filesWanted}${of} files`,
    `${formatSize(progress.bytes)} of ${formatSize(progress.bytesWanted)}${of}`,
    `${formatSize(progress.bytesPerSecond)}/s`,
  ]
  if (progress.remainingMs !== undefined) parts.push(`${formatDuration(progress.remainingMs)} left`)
  if (progress.path !== undefined) parts.push(printable(progress.path))
  return parts.join('  ')
}
