import { diagnose } from '@filesync/discovery/node'
import { describeFinding, jsonLine } from '@filesync/program'
import type { DoctorFinding } from '@filesync/program'
import { askControl, canConnect } from '@filesync/program/node'
import { systemClock } from '@filesync/protocol/node'
import { stateDirOf } from '../settings.ts'
import type { CommonFlags } from '../settings.ts'
import type { CommandContext } from './start.ts'
import type { Status } from './status.ts'

export interface DoctorFlags extends CommonFlags {
  readonly interface?: readonly string[]
  readonly bind?: string
}

/** `filesync-server doctor`: what keeps clients from finding this server, with the fix. Resolves with the exit code: 1 with a fault. */
export async function doctor (flags: DoctorFlags, { terminal, signal }: CommandContext): Promise<number> {
  let faults = 0
  for await (const finding of examine(flags, await askControl(stateDirOf(flags, terminal), 'GET /status') as Status | undefined, signal)) {
    if (finding.level === 'fault') faults++
    if (flags.quiet === true && finding.level === 'ok') continue
    terminal.stdout.write(flags.json === true ? jsonLine(finding) : `${describeFinding(finding)}\n`)
  }
  return faults > 0 ? 1 : 0
}

async function * examine (flags: DoctorFlags, running: Status | undefined, signal: AbortSignal): AsyncGenerator<DoctorFinding, void, undefined> {
  if (running === undefined) {
    yield { check: 'server', level: 'fault', what: 'No server runs with this state directory.', fix: 'start it with "filesync-server start", or name its directory with --state-dir' }
  } else if (running.discovery) {
    yield { check: 'server', level: 'ok', what: `${running.name} runs on port ${running.port} and answers clients that look for it.` }
  } else {
    yield { check: 'server', level: 'warning', what: `${running.name} runs on port ${running.port} but cannot be found.`, fix: 'start it without --no-discovery and with an interface that is up, or give clients --server HOST:PORT' }
  }
  yield * diagnose({
    role: 'server',
    clock: systemClock,
    signal,
    reach: canConnect,
    ...(flags.interface !== undefined && { interfaces: flags.interface }),
    ...(flags.bind !== undefined && { bind: flags.bind }),
  })
}
