import type { Area } from '@filesync/archive'
import { equalDigests, fitProblems, LIMITS, Pace } from '@filesync/protocol'
import type { ClientFilesInfo, Clock, Connection, HashBytes } from '@filesync/protocol'
import { withPatience } from './patience.ts'
import { receiveListings } from './receive-listings.ts'
import type { SessionTurn } from './session-turn.ts'

export interface TellPlanInit {
  readonly area: Area
  readonly info: ClientFilesInfo
  readonly turn: SessionTurn
  readonly hash: HashBytes
  readonly clock: Clock
}

/** The server's part of a session that only asks what a sync would do: compares, and answers PLAN. */
export async function tellPlan (connection: Connection, { area, info, turn, hash, clock }: TellPlanInit): Promise<void> {
  const preview = await area.beginPlanRun()
  const pace = new Pace({ clock, signal: AbortSignal.any([connection.signal, turn.signal]) })
  if (!equalDigests(info.rootDigest, preview.rootDigest)) {
    const listing = turn.over(withPatience(connection, { clock, limitMs: LIMITS.turnTimeoutMs }))
    await receiveListings({ connection: listing, rootDigest: info.rootDigest, hash, compare: arrived => preview.compare(arrived), pace })
  }
  const { problems, obstacle, ...counts } = await preview.finish({ complete: info.complete }, pace)
  await connection.send({
    type: 'PLAN', ...counts, problems: fitProblems(problems), ...(obstacle !== undefined && { obstacle: obstacle.slice(0, LIMITS.textBytes) }),
  })
}
