import { asFileSyncError } from '@filesync/protocol'
import type { Connection } from '@filesync/protocol'
import { connectWhileScanning } from '../connect/connect-while-scanning.ts'
import { planSession } from './plan-session.ts'
import type { PushPlan } from './plan-session.ts'
import type { PushOnceInit } from './push-once.ts'

/** Asks the server what a push would do. Nothing is sent but listings, and nothing is changed at either end. Throws what ended it. */
export async function planOnce (init: Omit<PushOnceInit, 'source' | 'onProgress' | 'limitBytesPerSecond' | 'compression'>): Promise<PushPlan> {
  const over = new AbortController()
  let connection: Connection | undefined
  try {
    const scanning = init.scan(AbortSignal.any([init.signal, over.signal]))
    scanning.catch(() => { /* awaited below, or given up */ })
    connection = await connectWhileScanning(init, scanning, found => found)
    const planned = await planSession(connection, { ...init, scan: async () => await scanning })
    await connection.close()
    return planned
  } catch (caught) {
    const error = asFileSyncError(caught)
    over.abort(error)
    await connection?.close(error)
    throw error
  }
}
