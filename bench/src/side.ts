import type { Started } from './children.ts'
import type { Consumption } from './process-meter.ts'

/** One run of a client program against its server, from its start to its end. */
export interface Run extends Consumption {
  readonly durationMs: number
  /** Both ways, as the program counts it; ours leaves out what TLS adds. */
  readonly toldBytes: number
}

/** A server that runs, and a client program that can bring a tree to it. */
export interface Side {
  /** Where the tree ends up. */
  readonly destination: string
  /** Runs the client once. Throws where it does not tell that everything is stored. */
  push (source: string): Promise<Run>
  /** Starts the client without waiting for its end. */
  startPush (source: string): Started
  /** Ends the server and removes all it stored. */
  close (): Promise<void>
}
