import { asFileSyncError } from '@filesync/protocol'
import { jsonLine } from '@filesync/program'
import { describePlan, failedPlan, planResult } from '../push/plan-result.ts'
import { createProgressLine } from '../status/progress-line.ts'
import type { PushFlags } from '../settings.ts'
import { openClient, showProgress } from './push.ts'
import type { CommandContext } from './push.ts'

/** `filesync-client plan`: what `push` would do. Sends only the listings that the server lacks, and changes nothing. */
export async function plan (folders: readonly string[], flags: PushFlags, { terminal, signal }: CommandContext): Promise<void> {
  const line = createProgressLine(terminal.stderr, flags.quiet === true)
  try {
    const client = await openClient(folders, flags, terminal)
    try {
      const result = planResult(await client.plan(showProgress(line), signal))
      line.clear()
      if (flags.json === true) terminal.stdout.write(jsonLine(result))
      else if (flags.quiet !== true) terminal.stdout.write(`${describePlan(result)}\n`)
    } finally {
      await client.close()
    }
  } catch (error) {
    line.clear()
    if (flags.json === true) terminal.stdout.write(jsonLine(failedPlan(asFileSyncError(error))))
    throw error
  }
}
