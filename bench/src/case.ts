import type { Bench } from './bench.ts'
import type { Row } from './row.ts'

/** One thing to measure. */
export interface Case {
  /** A case with several parts is one case per part, named NAME:PART; the NAME alone chooses all of them. */
  readonly name: string
  /** One line for the usage text. */
  readonly about: string
  readonly limitMinutes: number
  /** Whether it also measures rsync. */
  readonly hasPeer: boolean
  readonly run: (bench: Bench) => Promise<Row[]>
}

const LIMIT_MINUTES = 20

export function makeCase (name: string, about: string, run: Case['run']): Case {
  return { name, about, limitMinutes: LIMIT_MINUTES, hasPeer: true, run }
}
