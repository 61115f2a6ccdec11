import type { Terminal } from './program.ts'

export interface ReportTone {
  readonly quiet: boolean | undefined
  /** Whether the exit code will tell of it as well. */
  readonly isTrouble: boolean
}

/** Prints what a command came to. `--quiet` leaves out what is well, but trouble is never quiet: that goes to stderr then. */
export function writeReport (terminal: Pick<Terminal, 'stdout' | 'stderr'>, text: string, { quiet, isTrouble }: ReportTone): void {
  if (quiet !== true) terminal.stdout.write(text)
  else if (isTrouble) terminal.stderr.write(text)
}
