import type { Terminal } from './terminal.ts'

interface ReportTone {
  readonly quiet: boolean | undefined
  /** Whether the exit code will report it as well. */
  readonly isTrouble: boolean
}

/** Prints the result of a command. `--quiet` suppresses good news only: trouble is then printed on stderr. */
export function writeReport (terminal: Pick<Terminal, 'stdout' | 'stderr'>, text: string, { quiet, isTrouble }: ReportTone): void {
  if (quiet !== true) terminal.stdout.write(text)
  else if (isTrouble) terminal.stderr.write(text)
}
