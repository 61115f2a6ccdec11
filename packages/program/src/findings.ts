import type { DigestEngine } from '@filesync/protocol/node'
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

/** Which implementation of BLAKE3 this machine uses. Both give the same digests; WebAssembly takes about ten times as long. */
export function digestFinding (engine: DigestEngine): DoctorFinding {
  if (engine.name === 'native') return { check: 'digest', level: 'ok', what: 'Content is hashed by the native build of BLAKE3.' }
  return {
    check: 'digest',
    level: 'warning',
    what: `Content is hashed by WebAssembly, which is slower, because the native build of BLAKE3 cannot be loaded: ${engine.reason}`,
    fix: 'install again with optional dependencies if hashing is the limit; nothing else depends on it',
  }
}
