import { printable } from './printable.ts'

/** One result of a check by the `doctor` command. */
export interface DoctorFinding {
  readonly check: string
  readonly level: 'ok' | 'warning' | 'fault'
  readonly what: string
  /** What to do about it; present unless the level is `ok`. */
  readonly fix?: string
}

const MARKS = { ok: 'ok     ', warning: 'warning', fault: 'FAULT  ' } as const

/** A finding as one line for people, followed by its fix. */
export function describeFinding ({ level, what, fix }: DoctorFinding): string {
  return `${MARKS[level]}  ${printable(what)}${fix === undefined ? '' : `  Fix: ${printable(fix)}`}`
}
