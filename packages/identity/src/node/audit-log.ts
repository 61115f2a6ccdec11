import { open } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Clock } from '@filesync/protocol'
import { systemClock } from '@filesync/protocol/node'
import type { Audit } from '../audit.ts'
import { RefusalLimit } from '../refusal-limit.ts'
import { ensureStateDir, withWriteErrors } from './private-file.ts'

const NEWLINE = 0x0a

/**
 * `<stateDir>/audit.log`: one JSON object per line, append-only, mode 0600. Pairings and revocations are on stable storage when
 * `record` resolves; it throws STATE_INVALID otherwise. Of many refusals for one address only some are written; the next one
 * written, or a separate line a minute later, counts the rest. A refusal that cannot be written is counted too, because
 * refusing a client must not depend on the disk.
 */
export function openAuditLog (stateDir: string, clock: Clock = systemClock): Audit {
  const path = join(stateDir, 'audit.log')
  const now = (): string => new Date(clock.nowMs()).toISOString()
  const limit = new RefusalLimit({
    clock,
    onSuppressed: ({ address, count }) => {
      void append(path, { time: now(), event: 'refuse', reason: 'as before', address, dropped: count }, false)
        .catch(() => { limit.restore(address, count - 1) })
    },
  })
  return {
    async record (event) {
      const time = now()
      if (event.event !== 'refuse') return await append(path, { time, ...event }, true)
      const dropped = limit.admit(event.address)
      if (dropped === undefined) return
      await append(path, { time, ...event, ...(dropped > 0 && { dropped }) }, false)
        .catch(() => { limit.restore(event.address, dropped) })
    },
  }
}

async function append (path: string, line: object, isDurable: boolean): Promise<void> {
  await ensureStateDir(dirname(path))
  await withWriteErrors(path, async () => {
    const file = await open(path, 'a+', 0o600)
    try {
      // On a full disk, the previous line may be incomplete.
      const isTorn = await lastByte(file) !== NEWLINE
      await file.appendFile(`${isTorn ? '\n' : ''}${JSON.stringify(line)}\n`)
      if (isDurable) await file.sync()
    } finally {
      await file.close()
    }
  })
}

/** A newline for an empty file. */
async function lastByte (file: FileHandle): Promise<number> {
  const { size } = await file.stat()
  if (size === 0) return NEWLINE
  const { buffer } = await file.read(Buffer.alloc(1), 0, 1, size - 1)
  return buffer[0] ?? NEWLINE
}
