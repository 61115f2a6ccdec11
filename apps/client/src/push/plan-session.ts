import { ListingResponder } from '@filesync/protocol'
import type { Connection, PlanMessage } from '@filesync/protocol'
import { hashBytes } from '@filesync/protocol/node'
import { greetForPlan } from '../connect/greet.ts'
import { announceTree, answerListings, waitForTurn } from './push-session.ts'
import type { PushableTree, PushDependencies } from './push-session.ts'
import { refuseOwnArchive } from './refuse-own-archive.ts'

/** What a push would do, according to the server. */
export interface PushPlan {
  readonly tree: PushableTree
  readonly plan: PlanMessage
}

export type PlanDependencies = Pick<PushDependencies, 'folders' | 'scan' | 'clock' | 'software' | 'onBusy' | 'onReady'>

/** Runs one session from HELLO to PLAN, in which no file is sent. Throws VERSION_UNSUPPORTED if the server does not support plans. */
export async function planSession (connection: Connection, deps: PlanDependencies): Promise<PushPlan> {
  await greetForPlan(connection, deps.software, deps.clock)
  const ready = await waitForTurn(connection, deps.onBusy)
  deps.onReady(ready)
  const tree = await deps.scan()
  refuseOwnArchive({ folders: deps.folders, archives: tree.archives ?? [], archiveId: ready.archiveId })
  await announceTree(connection, tree)
  const plan = await answerListings(connection, { answers: new ListingResponder(tree, hashBytes) }, ['PLAN'])
  return { tree, plan }
}
