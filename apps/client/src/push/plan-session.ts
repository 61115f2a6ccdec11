import { ListingAnswers } from '@filesync/protocol'
import type { Connection, SyncPreview } from '@filesync/protocol'
import { greetForPlan } from '../connect/greet.ts'
import { refuseOwnArchive } from './refuse-own-archive.ts'
import { announceTree, answerListings, waitForTurn } from './push-session.ts'
import type { PushableTree, PushDependencies } from './push-session.ts'

/** What a push would do, as the server says. */
export interface PushPlan {
  readonly tree: PushableTree
  readonly plan: SyncPreview
}

/** One session from HELLO to PLAN, in which no file is sent. Throws VERSION_UNSUPPORTED where the server cannot tell. */
export async function planSession (connection: Connection, deps: Pick<PushDependencies, 'root' | 'scan' | 'clock' | 'software' | 'onBusy' | 'onReady'>): Promise<PushPlan> {
  await greetForPlan(connection, deps.software, deps.clock)
  const ready = await waitForTurn(connection, deps.onBusy)
  deps.onReady(ready)
  const tree = await deps.scan()
  refuseOwnArchive({ root: deps.root, archives: tree.archives ?? [], archiveId: ready.archiveId })
  await announceTree(connection, tree)
  return { tree, plan: await answerListings(connection, { answers: new ListingAnswers(tree) }, ['PLAN']) }
}
