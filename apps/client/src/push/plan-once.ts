import { asFileSyncError } from '@filesync/protocol'
import type { Connection } from '@filesync/protocol'
import { connectWhileScanning } from '../connect/connect-while-scanning.ts'
import { planSession } from './plan-session.ts'
import type { PushPlan } from './plan-session.ts'
import type { PushOnceInit } from './push-once.ts'

export type PlanOnceInit = Omit<PushOnceInit, 'source' | 'onProgress' | 'limitBytesPerSecond' | 'compression'>

/** Asks the server what a push would do. Only listings are sent, and nothing is changed at either end. Throws what ended the session. */
export async function planOnce (init: PlanOnceInit): Promise<PushPlan> {
  const over = new AbortController()
  let connection: Connection | undefined
  try {
    const scanning = init.scan(AbortSignal.any([init.signal, over.signal]))
    scanning.catch(() => { /* awaited in the session, or aborted below */ })
    connection = await connectWhileScanning(init, scanning)
    const plan = await planSession(connection, { ...init, scan: async () => await scanning })
    await connection.close()
    return plan
  } catch (caught) {
    const error = asFileSyncError(caught)
    over.abort(error)
    await connection?.close(error)
    throw error
  }
}
