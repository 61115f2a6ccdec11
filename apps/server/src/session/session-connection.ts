import { collectWhileReceiving } from '@filesync/program/node'
import { wrapConnection } from '@filesync/protocol'
import type { Clock, Connection } from '@filesync/protocol'
import { withPatience } from './patience.ts'
import type { SessionTurn } from './session-turn.ts'

export interface SessionConnectionInit {
  readonly turn: SessionTurn
  readonly clock: Clock
  /** How long the client may keep the server waiting in this step before it has to earn more time. */
  readonly limitMs: number
  /** Size of the file that a task asks for; needed by the step that sends tasks. */
  readonly sizeOf?: (task: number) => number
  /** Called before each page of tasks is sent. */
  readonly onTasks?: () => void
}

/**
 * The connection that one step of a session reads from and writes to. A frame passes the layers in the order below, so the
 * time for which the rate limit holds it back is not counted as waiting for the client.
 */
export function sessionConnection (connection: Connection, { turn, clock, limitMs, sizeOf, onTasks }: SessionConnectionInit): Connection {
  // Collects the short-lived buffers of TLS early; otherwise the engine walks its whole heap for them.
  const collected = collectWhileReceiving(connection)
  // Notes that tasks were sent: only then does the client expect STORED.
  const noted = onTasks === undefined ? collected : notingTasks(collected, onTasks)
  // Closes the connection with PEER_TOO_SLOW if the client sends nothing, or too little, for too long.
  const patient = withPatience(noted, { clock, limitMs, ...(sizeOf !== undefined && { sizeOf }) })
  // Ends the session between two frames when its turn is over, and holds frames back to the rate that all sessions share.
  return turn.wrap(patient)
}

function notingTasks (connection: Connection, onTasks: () => void): Connection {
  return wrapConnection(connection, {
    send: async message => {
      if (message.type === 'TASKS') onTasks()
      await connection.send(message)
    },
  })
}
