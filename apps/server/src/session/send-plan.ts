import type { Area } from '@filesync/archive'
import { equalDigests, fitProblems, LIMITS, TimeSlice } from '@filesync/protocol'
import type { ClientFilesInfo, Clock, Connection, HashBytes } from '@filesync/protocol'
import { receiveListings } from './receive-listings.ts'
import { isComplete, scopeOf } from './scope-of.ts'
import { sessionConnection } from './session-connection.ts'
import type { SessionTurn } from './session-turn.ts'

export interface SendPlanInit {
  readonly area: Area
  readonly info: ClientFilesInfo
  readonly turn: SessionTurn
  readonly hash: HashBytes
  readonly clock: Clock
}

/** Compares listings and sends PLAN: what a sync would do. Nothing is stored. */
export async function sendPlan (connection: Connection, { area, info, turn, hash, clock }: SendPlanInit): Promise<void> {
  const run = await area.beginPlanRun(scopeOf(info))
  const slice = new TimeSlice({ clock, signal: AbortSignal.any([connection.signal, turn.signal]) })
  if (!equalDigests(info.rootDigest, run.rootDigest)) {
    await receiveListings({
      connection: sessionConnection(connection, { turn, clock, limitMs: LIMITS.turnTimeoutMs }),
      rootDigest: info.rootDigest,
      hash,
      compare: listing => run.compare(listing),
      slice,
    })
  }
  const { problems, obstacle, ...counts } = await run.finish({ complete: isComplete(info) }, slice)
  await connection.send({
    type: 'PLAN',
    ...counts,
    problems: fitProblems(problems),
    ...(obstacle !== undefined && { obstacle: obstacle.slice(0, LIMITS.textBytes) }),
  })
}
