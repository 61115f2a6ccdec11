import type { Started } from './children.ts'
import type { Consumption } from './process-meter.ts'

/** One run of a client program against its server, from start to exit. */
export interface Run extends Consumption {
  readonly durationMs: number
  /** Bytes in both directions, as the program counts them; ours do not include the overhead of TLS. */
  readonly toldBytes: number
}

/** A running server, and a client program that pushes a tree to it. */
export interface Side {
  /** Where the tree is stored. */
  readonly destination: string
  /** Runs the client once. Throws if it does not report that everything is stored. */
  push (source: string): Promise<Run>
  /** Starts the client without waiting for it to exit. */
  startPush (source: string): Started
  /** Stops the server and removes everything that it stored. */
  close (): Promise<void>
}
