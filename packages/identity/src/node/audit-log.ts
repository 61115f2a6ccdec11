import { open } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '@filesync/protocol'
import { systemClock } from '@filesync/protocol/node'
import type { Audit } from '../audit.ts'
import { RefusalLimit } from '../refusal-limit.ts'
import { ensureStateDir } from './private-file.ts'

/**
 * `<stateDir>/audit.log`: one JSON object a line, appended only, mode 0600. Pairings and revocations are on stable storage
 * before they take effect; of many refusals some are kept, and the next kept one counts the rest.
 */
export function openAuditLog (stateDir: string, clock: Clock = systemClock): Audit {
  const path = join(stateDir, 'audit.log')
  const limit = new RefusalLimit(clock.monotonicMs())
  return {
    async record (event) {
      const dropped = event.event === 'refuse' ? limit.take(clock.monotonicMs()) : 0
      if (dropped === undefined) return
      await ensureStateDir(stateDir)
      const time = new Date(clock.nowMs()).toISOString()
      const file = await open(path, 'a', 0o600)
      try {
        await file.appendFile(JSON.stringify({ time, ...event, ...(dropped > 0 && { dropped }) }) + '\n')
        if (event.event !== 'refuse') await file.sync()
      } finally {
        await file.close()
      }
    },
  }
}
