import { printable } from './printable.ts'

/** One thing that a check found. */
export interface DoctorFinding {
  readonly check: string
  readonly level: 'ok' | 'warning' | 'fault'
  readonly what: string
  /** What to do about it; there unless all is well. */
  readonly fix?: string
}

const MARKS = { ok: 'ok     ', warning: 'warning', fault: 'FAULT  ' } as const

/** A finding as one line for a person, with the fix behind it. */
export function describeFinding ({ level, what, fix }: DoctorFinding): string {
  return `${MARKS[level]}  ${printable(what)}${fix === undefined ? '' : `  Fix: ${printable(fix)}`}`
}
