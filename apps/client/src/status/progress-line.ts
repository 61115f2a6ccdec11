import { formatDuration, printable } from '@filesync/program'
import { formatSize } from '@filesync/protocol'
import type { TransferProgress } from '@filesync/transfer'

/** One line with the current state of a run; it may change many times a second. */
export interface ProgressLine {
  /** Replaces the text of the line. */
  show (text: string): void
  /** Empties the line before other output is printed. */
  clear (): void
}

/** A line that is rewritten in place on a terminal. Shows nothing if the stream is not a terminal: a log of percentages helps nobody. */
export function createProgressLine (stream: NodeJS.WriteStream, quiet: boolean): ProgressLine {
  if (!stream.isTTY || quiet) return { show () { /* not shown */ }, clear () { /* nothing to clear */ } }
  let shown = false
  return {
    show (text) {
      stream.write(`\r\u001b[2K${fitColumns(text, Math.max(20, stream.columns - 1))}`)
      shown = true
    },
    clear () {
      if (shown) stream.write('\r\u001b[2K')
      shown = false
    },
  }
}

const WIDE = /^[\p{Script=Han}\p{Script=Hangul}\p{Script=Hiragana}\p{Script=Katakana}\p{Emoji_Presentation}\u3000-\u303f\uff01-\uff60]/u

/** Truncates a text to a terminal line: a line that wraps could not be erased. Combining marks take no column. */
function fitColumns (text: string, maxColumns: number): string {
  let columns = 0
  let fitting = 0
  for (const character of text) {
    columns += WIDE.test(character) ? 2 : /^\p{Mark}/u.test(character) ? 0 : 1
    if (columns > maxColumns) return `${text.slice(0, fitting)}…`
    if (columns < maxColumns) fitting += character.length
  }
  return text
}

/** The expected wait in the server's queue, to append to a sentence. */
export function describeEstimate (estimateMs: number | undefined): string {
  return estimateMs === undefined ? '' : `, about ${formatDuration(estimateMs)}`
}

/** The progress of a transfer in one line. */
export function describeProgress (progress: TransferProgress): string {
  const plus = progress.isTotalKnown ? '' : '+'
  const parts = [
    `${progress.files}/${progress.filesWanted}${plus} files`,
    `${formatSize(progress.bytes)} of ${formatSize(progress.bytesWanted)}${plus}`,
    `${formatSize(progress.bytesPerSecond)}/s`,
  ]
  if (progress.remainingMs !== undefined) parts.push(`${formatDuration(progress.remainingMs)} left`)
  if (progress.path !== undefined) parts.push(printable(progress.path))
  return parts.join('  ')
}
